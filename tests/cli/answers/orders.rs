// SPDX-License-Identifier: MIT
// A shop that ships all but its last orders, and clones each into a history that nobody reads.
use std::collections::HashMap;

#[derive(Clone)]
struct Order {
    items: Vec<String>,
    note: Box<str>,
}

struct Store {
    open: HashMap<u64, Order>,
    history: Vec<Order>,
}

impl Store {
    #[inline(never)]
    fn place(&mut self, id: u64) {
        let items = (0..3).map(|n| format!("item {n} of order {id}")).collect();
        let order = Order { items, note: "leave it with the neighbours".into() };
        self.history.push(order.clone());
        self.open.insert(id, order);
    }

    fn ship(&mut self, id: u64) {
        self.open.remove(&id);
    }
}

fn main() {
    let mut store = Store { open: HashMap::new(), history: Vec::new() };
    for id in 0..100_000 {
        store.place(id);
        if id >= 1000 {
            store.ship(id - 1000);
        }
    }
    let last = &store.history[store.history.len() - 1];
    println!("{} open, the last has {} items, {}", store.open.len(), last.items.len(), last.note);
    std::process::exit(0); // as services end: nobody drops the store
}
