//! What `fissure load` is asked: which server, which users, how they arrive.

pub mod profile;
pub mod shape;
pub mod target;
pub mod url;
