// SPDX-License-Identifier: MIT
// A benchmark without crates: rustc -O bench.rs && heapprof run -s 1 -- ./bench
// prints what `go test -bench -benchmem` does: ns/op, B/op, allocs/op.
use std::ffi::{c_void, CStr};
use std::os::raw::{c_char, c_int};
use std::time::Instant;

/// heapprof_counts of heapprof.h.
#[repr(C)]
#[derive(Default)]
struct Counts {
    alloc_objects: u64,
    alloc_bytes: u64,
    peak_bytes: u64,
    growth_objects: i64,
    growth_bytes: i64,
    lost: u64,
}

/// As std::hint::black_box, which older compilers do not have.
fn black_box<T>(value: T) -> T {
    let seen = unsafe { std::ptr::read_volatile(&value) };
    std::mem::forget(value);
    seen
}

type Begin = unsafe extern "C" fn() -> c_int;
type End = unsafe extern "C" fn(*mut Counts, usize) -> c_int;
type Stop = unsafe extern "C" fn();

extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The address of a function of the preloaded library. Rust has no weak symbols, so it is asked for by name.
fn find(name: &CStr) -> Option<*mut c_void> {
    let address = unsafe { dlsym(std::ptr::null_mut(), name.as_ptr()) };
    if address.is_null() { None } else { Some(address) }
}

struct Memory {
    begin: Begin,
    end: End,
}

impl Memory {
    /// Stops sampling: only what is counted is in the profile. None: the library is not preloaded.
    fn new() -> Option<Memory> {
        let name = |bytes: &'static [u8]| CStr::from_bytes_with_nul(bytes).unwrap();
        let stop = find(name(b"heapprof_stop\0"))?;
        let begin = find(name(b"heapprof_count_begin\0"))?;
        let end = find(name(b"heapprof_count_end\0"))?;
        unsafe {
            std::mem::transmute::<*mut c_void, Stop>(stop)();
            Some(Memory { begin: std::mem::transmute::<*mut c_void, Begin>(begin), end: std::mem::transmute::<*mut c_void, End>(end) })
        }
    }

    /// None: the interval is not 1.
    fn count(&self, run: impl FnOnce()) -> Option<Counts> {
        let mut counts = Counts::default();
        if unsafe { (self.begin)() } != 0 {
            return None;
        }
        run();
        let is_counted = unsafe { (self.end)(&mut counts, std::mem::size_of::<Counts>()) } == 0;
        if is_counted && counts.lost == 0 { Some(counts) } else { None }
    }
}

fn bench(memory: &Option<Memory>, name: &str, body: impl Fn()) {
    const TIMED: u32 = 1000;
    const COUNTED: u64 = 16;
    let start = Instant::now();
    for _ in 0..TIMED {
        body();
    }
    let ns = start.elapsed().as_nanos() as f64 / f64::from(TIMED);
    let counts = memory.as_ref().and_then(|m| m.count(|| (0..COUNTED).for_each(|_| body())));
    match counts {
        Some(c) => println!("{name} {ns:.0} ns/op {} B/op {} allocs/op {} B peak", c.alloc_bytes / COUNTED,
                            c.alloc_objects / COUNTED, c.peak_bytes),
        None => println!("{name} {ns:.0} ns/op, memory is not counted: heapprof run -s 1 -- ./bench"),
    }
}

fn main() {
    let memory = Memory::new();
    bench(&memory, "boxes", || {
        black_box((Box::new([0u8; 100]), Box::new([0u8; 28])));
    });
    bench(&memory, "push", || {
        let mut numbers: Vec<u32> = Vec::with_capacity(4);
        (0..5).for_each(|i| numbers.push(black_box(i)));
        black_box(&numbers);
    });
    bench(&memory, "nothing", || {
        black_box(1 + 1);
    });
}
