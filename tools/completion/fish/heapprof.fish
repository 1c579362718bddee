# SPDX-License-Identifier: MIT
# Completion of heapprof for fish. The command itself says what it takes (heapprof --list-options, tab-separated: command,
# option, letter, argument, help), so this file has no list to keep up to date.

function __heapprof_commands
    heapprof --list-options | while read -l line
        set -l fields (string split \t -- $line)
        test -z "$fields[2]"; and printf '%s\t%s\n' $fields[1] $fields[5]
    end
end

function __heapprof_pids
    heapprof ls --json 2>/dev/null | string match -r -g '"pid": *([0-9]+)'
end

function __heapprof_profiles
    set -l start (commandline -ct)
    for file in $start*.pb.gz $start*.pb $start*.heapprof $start*.hpr $start*/
        echo $file
    end
end

function __heapprof_values -a argument
    switch $argument
        case TYPE
            printf '%s\n' alloc_objects alloc_space inuse_objects inuse_space peak_objects peak_space
        case SIGNAL
            printf '%s\n' USR1 USR2 PROF none
        case ALLOCATOR
            printf '%s\n' jemalloc tcmalloc mimalloc
            __fish_complete_path
        case FILE PATTERN
            __fish_complete_path
    end
end

complete -c heapprof -f
complete -c heapprof -n __fish_use_subcommand -a '(__heapprof_commands)'
complete -c heapprof -n __fish_use_subcommand -l version -d 'show the version'
complete -c heapprof -n __fish_use_subcommand -l help -d 'list the commands'
complete -c heapprof -n '__fish_seen_subcommand_from run' -a '(__fish_complete_subcommand)'
complete -c heapprof -n 'not __fish_use_subcommand; and not __fish_seen_subcommand_from run' \
    -a '(__heapprof_pids; __heapprof_profiles)'

heapprof --list-options 2>/dev/null | while read -l line
    set -l fields (string split \t -- $line)
    test -n "$fields[2]"; or continue
    set -l flags -l (string replace -- -- '' $fields[2])
    test -n "$fields[3]"; and set -a flags -s $fields[3]
    test -n "$fields[4]"; and set -a flags -r -a "(__heapprof_values $fields[4])"
    complete -c heapprof -n "__fish_seen_subcommand_from $fields[1]" $flags -d $fields[5]
end
