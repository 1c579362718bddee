// SPDX-License-Identifier: MIT
//! Boxes, some of them in another thread: those of the main thread are kept.

#[inline(never)]
fn victim_keep(count: usize) -> Vec<Box<[u8; 1000]>> {
    let mut kept = Vec::with_capacity(count);
    for _ in 0..count {
        kept.push(Box::new([1; 1000]));
    }
    kept
}

fn main() {
    let kept = victim_keep(100);
    let other = std::thread::spawn(|| victim_keep(50).len());
    println!("{} {}", kept.len(), other.join().unwrap());
    std::mem::forget(kept);
}
