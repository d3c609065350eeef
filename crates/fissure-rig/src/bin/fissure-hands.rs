//! The hidden subcommands of fissure, for the tests of this crate: the real program is another crate.

fn main() {
    let arm = std::env::args().nth(1).unwrap_or_default();
    let status = match arm.as_str() {
        fissure_rig::keeper::GUARD => fissure_rig::keeper::guard(),
        fissure_rig::crowd::CROWD => fissure_rig::crowd::child(),
        fissure_rig::cache::CACHE => fissure_rig::cache::child(),
        _ => 64,
    };
    std::process::exit(status);
}
