//! One file per verb.

pub mod chaos;
pub mod check;
pub mod demo;
pub mod doctor;
pub mod export;
pub mod init;
pub mod isolate;
pub mod load;
pub mod report;
pub mod split;
pub mod up;
pub mod users;
