// SPDX-License-Identifier: MIT
// threads | fork | attached: a Rust program that counts what it allocates, on std's allocator, or (--cfg je) on jemalloc with the prefix that Rust's
// crate for it has, called as that crate does. attached: its threads allocate, uncounted, until it reads a line.
use std::alloc::{alloc, alloc_zeroed, dealloc, realloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[cfg(je)]
mod jemalloc {
    use std::alloc::{GlobalAlloc, Layout};

    extern "C" {
        fn _rjem_malloc(size: usize) -> *mut u8;
        fn _rjem_calloc(count: usize, size: usize) -> *mut u8;
        fn _rjem_realloc(pointer: *mut u8, size: usize) -> *mut u8;
        fn _rjem_mallocx(size: usize, flags: i32) -> *mut u8;
        fn _rjem_rallocx(pointer: *mut u8, size: usize, flags: i32) -> *mut u8;
        fn _rjem_sdallocx(pointer: *mut u8, size: usize, flags: i32);
    }

    struct Jemalloc;

    fn flags(layout: Layout) -> i32 {
        if layout.align() > 16 { layout.align().trailing_zeros() as i32 } else { 0 }
    }

    unsafe impl GlobalAlloc for Jemalloc {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if flags(layout) == 0 { _rjem_malloc(layout.size()) } else { _rjem_mallocx(layout.size(), flags(layout)) }
        }
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            if flags(layout) == 0 { _rjem_calloc(1, layout.size()) } else { _rjem_mallocx(layout.size(), flags(layout) | 0x40) }
        }
        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            _rjem_sdallocx(pointer, layout.size(), flags(layout))
        }
        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            if flags(layout) == 0 { _rjem_realloc(pointer, size) } else { _rjem_rallocx(pointer, size, flags(layout)) }
        }
    }

    #[global_allocator]
    static ALLOCATOR: Jemalloc = Jemalloc;
}

static COUNTS: [AtomicUsize; 4] = [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];

fn count(first: usize, size: usize) {
    COUNTS[first].fetch_add(1, Relaxed);
    COUNTS[first + 1].fetch_add(size, Relaxed);
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn victim_rust(round: usize) {
    let size = 16 + round * 37 % 900;
    for align in [1, 64] {
        let layout = Layout::from_size_align(size, align).unwrap();
        let larger = Layout::from_size_align(5 * size, align).unwrap();
        unsafe {
            let zeroed = std::hint::black_box(alloc_zeroed(layout));
            count(0, size);
            assert!(*zeroed == 0);
            let resized = std::hint::black_box(realloc(alloc(layout), layout, 5 * size));
            count(0, size);
            count(2, size);
            count(0, 5 * size);
            if round % 4 != 0 {
                dealloc(zeroed, layout);
                dealloc(resized, larger);
                count(2, size);
                count(2, 5 * size);
            }
        }
    }
}

fn work() {
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| (0..400).for_each(victim_round))).collect();
    (0..400).for_each(victim_round);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

extern "C" {
    fn fork() -> i32;
    fn wait(status: *mut i32) -> i32;
}

// A child starts with what its parent had in use.
fn become_child() {
    for first in [0, 1] {
        let freed = COUNTS[first + 2].swap(0, Relaxed);
        COUNTS[first].fetch_sub(freed, Relaxed);
    }
}

fn read_line() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn be_busy() {
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let threads: Vec<_> = (0..4).map(|_| over.clone()).map(|over| std::thread::spawn(move || {
        while !over.load(Relaxed) {
            std::hint::black_box((0..50).map(|i| "x".repeat(i * 7)).collect::<Vec<_>>());
        }
    })).collect();
    println!("ready");
    read_line();
    work();
    over.store(true, Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn main() {
    let is_attached = std::env::args().nth(1).as_deref() == Some("attached");
    if is_attached { be_busy() } else { work() }
    if std::env::args().nth(1).as_deref() == Some("fork") {
        let child = unsafe { fork() };
        if child == 0 {
            become_child();
        }
        (0..100).for_each(victim_round);
        work();
        let mut status = 0;
        assert!(child == 0 || unsafe { wait(&mut status) } == child && status == 0);
    }
    let [made, made_bytes, freed, freed_bytes] = [0, 1, 2, 3].map(|i: usize| COUNTS[i].load(Relaxed));
    println!("shadow alloc_objects={} alloc_bytes={} inuse_objects={} inuse_bytes={} pid={}", made, made_bytes, made - freed,
             made_bytes - freed_bytes, std::process::id());
    if is_attached {
        println!("done");
        read_line();
    }
}

fn victim_round(round: usize) {
    victim_rust(round)
}
