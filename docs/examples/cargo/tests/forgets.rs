// SPDX-License-Identifier: MIT
//! Passes, but nobody drops the cart.
#[test]
fn forgets() {
    let cart = Box::leak(Box::<cart::Cart>::default());
    cart.add("apple");
    assert_eq!(cart.count(), 1);
}
