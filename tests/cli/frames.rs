// SPDX-License-Identifier: MIT
// What frames.cc is to C++, this is to Rust.
use std::collections::{BTreeMap, HashMap};
use std::fmt;

struct Point {
    x: i32,
    name: String,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}={}", self.name, self.x)
    }
}

trait Repeat {
    fn repeat(&self, times: usize) -> Vec<String>;
}

impl Repeat for Point {
    fn repeat(&self, times: usize) -> Vec<String> {
        (0..times).map(|i| format!("{}{}", self, i)).collect()
    }
}

fn main() {
    let mut by_name: HashMap<String, Vec<Point>> = HashMap::new();
    let mut by_number = BTreeMap::new();
    for i in 0..100 {
        by_name.entry(format!("k{}", i % 7)).or_default().push(Point { x: i, name: i.to_string() });
        by_number.insert(i, vec![i; i as usize]);
    }
    let mut all: Vec<&Point> = by_name.values().flatten().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name).then(b.x.cmp(&a.x)));
    let boxed: Vec<Box<dyn Repeat>> =
        all.iter().map(|p| Box::new(Point { x: p.x, name: p.name.clone() }) as Box<dyn Repeat>).collect();
    let bytes: usize = boxed.iter().flat_map(|each| each.repeat(3)).map(|text| text.len()).sum();
    let thread = std::thread::spawn(|| (0..1000u64).filter(|n| n % 3 == 0).collect::<Vec<u64>>().iter().sum::<u64>());
    println!("{} {} {:?}", bytes, thread.join().unwrap(), by_number.iter().next());
}
