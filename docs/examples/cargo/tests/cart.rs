// SPDX-License-Identifier: MIT
#[test]
fn counts() {
    let mut cart = cart::Cart::default();
    cart.add("apple");
    assert_eq!(cart.count(), 1);
}
