// SPDX-License-Identifier: MIT
#[derive(Default)]
pub struct Cart {
    items: Vec<String>,
}

impl Cart {
    pub fn add(&mut self, item: &str) {
        self.items.push(item.to_string());
    }

    pub fn count(&self) -> usize {
        self.items.len()
    }
}
