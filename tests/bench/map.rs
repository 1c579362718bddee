// SPDX-License-Identifier: MIT
// map THREADS STRINGS ROUNDS: each thread fills a BTreeMap with so many strings, removes half of them, and drops it, again and again.
use std::collections::BTreeMap;

fn key(number: u64) -> String {
    format!("key {}", number.wrapping_mul(0x9e3779b97f4a7c15) >> 20)
}

fn work(strings: u64, rounds: u64) -> usize {
    let mut total = 0;
    for round in 0..rounds {
        let mut map: BTreeMap<String, String> = (0..strings).map(|i| (key(i), format!("value {}", i + round))).collect();
        for i in 0..strings / 2 {
            map.remove(&key(i));
        }
        total += map.values().map(String::len).sum::<usize>();
    }
    total
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|word| word.parse().unwrap()).collect();
    let (threads, strings, rounds) = (numbers[0], numbers[1], numbers[2]);
    let others: Vec<_> = (1..threads).map(|_| std::thread::spawn(move || work(strings, rounds))).collect();
    let mut total = work(strings, rounds);
    for other in others {
        total += other.join().unwrap();
    }
    println!("{total}");
}
