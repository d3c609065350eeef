//! The photo shop.
