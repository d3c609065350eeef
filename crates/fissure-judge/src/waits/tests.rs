//! Hand-made looks at an app with sixteen users: what each shows is known.

use fissure_facts::config::{Link, LinkKind};
use fissure_facts::profile::{Doing, Frame, Peer, Stack};
use fissure_facts::statements::{Statement, Statements};
use fissure_facts::{Address, Arrangement, Config, Header, Stamped, Step, WindowPlan};
use proptest::prelude::*;

use super::*;
use crate::judgement::Resource;
use crate::limit::{self, waiting};

const USERS: u32 = 16;
const LOOKS: u64 = 500;

fn config() -> Config {
    let text =
        "[app]\ncommand = \"./app\"\n[users]\njourneys = [\"a.hurl\"]\n[goal]\nusers = 40\np95 = \"100ms\"\n";
    Config::parse(text).unwrap()
}

/// `buy` waits for the lock that `charge` holds; the others are the language's or the kernel's.
fn frames() -> Vec<Frame> {
    let own = |function: &str, line| Frame {
        function: function.to_owned(),
        file: Some("src/stock.c".to_owned()),
        line: Some(line),
        in_app: true,
        ..Frame::default()
    };
    let of_libc = |function: &str| Frame {
        function: function.to_owned(),
        module: Some("/usr/lib/libc.so.6".to_owned()),
        ..Frame::default()
    };
    vec![
        own("buy", 31),
        own("charge", 18),
        of_libc("pthread_mutex_lock"),
        of_libc("recv"),
        of_libc("pthread_cond_wait"),
        of_libc("accept"),
    ]
}

/// Threads on average, what they do, their frames, and how long one wait lasts, in looks.
fn threads(number: f64, doing: Doing, frames: &[u32], holder: &[u32], lasts: u64) -> Stack {
    let count = (number * LOOKS as f64) as u64;
    Stack {
        process: 1,
        thread: "app".to_owned(),
        doing,
        frames: frames.to_vec(),
        holder: holder.to_vec(),
        count,
        separate: (count / lasts).max(1),
    }
}

fn run_of(stacks: Vec<Stack>, peers: Vec<Peer>) -> Run {
    let header = Header { verb: "check".to_owned(), seed: 1, config: config(), ..Header::default() };
    let plan = WindowPlan {
        window: 3,
        purpose: Purpose::Profile,
        arrangement: Arrangement::profiled(),
        load: Load::Closed { users: USERS },
        emphasis: None,
        warmup_s: 1.0,
        visit_max_s: None,
        seconds: 5,
        seed: 1,
    };
    let profile = Profile {
        window: 3,
        instrument: "waits".to_owned(),
        looks: LOOKS,
        frames: frames(),
        stacks,
        peers,
        ..Profile::default()
    };
    let facts = [Fact::StepBegan { step: Step::Hold(plan), why: String::new() }, Fact::Profiled(profile)];
    let mut run = Run::new(header);
    run.facts = facts.into_iter().map(|fact| Stamped { at_s: 1.0, fact }).collect();
    run
}

fn seen(stacks: Vec<Stack>, peers: Vec<Peer>) -> (Waits, Option<Resource>) {
    let waits = waits(&run_of(stacks, peers)).unwrap();
    let resource = waiting::resource(&waits, &config()).map(|(resource, _)| resource);
    (waits, resource)
}

fn loopback(port: u16) -> Address {
    format!("127.0.0.1:{port}").into()
}

fn peer(port: u16, connections: u64, awaited: u64) -> Peer {
    let address = loopback(port);
    Peer { address, looks: 50, connections: 50 * connections, awaited: 50 * awaited, asked_per_s: None }
}

fn waiting_for(port: u16) -> Doing {
    Doing::WaitingForPeer { address: Some(loopback(port)) }
}

const LOCK: Doing = Doing::WaitingForLock { address: 0x40 };

#[test]
fn a_lock_that_is_held_across_a_call_is_the_lock_and_not_whom_is_called() {
    let stacks = vec![
        threads(14.8, LOCK, &[2, 0], &[3, 1], 20),
        threads(1.0, waiting_for(7311), &[3, 1], &[], 2),
        threads(0.2, Doing::WaitingForClient, &[3], &[], 1),
    ];
    let (waits, resource) = seen(stacks, vec![peer(7311, 1, 1)]);
    assert_eq!(resource, Some(Resource::Lock));
    let lock = &waits.places[0];
    assert!((lock.share.mid - 14.8 / 16.0).abs() < 0.01 && lock.share.low < lock.share.mid, "{lock:?}");
    let holder = lock.holder.clone().unwrap();
    assert_eq!((holder.at.function.as_str(), holder.at.line), ("charge", 18));
    assert_eq!(holder.what, Some(WaitsFor::Peer(Some("127.0.0.1:7311".parse().unwrap()))));
    let places = waiting::places(&waits, Resource::Lock);
    let named: Vec<(&str, u32)> = places.iter().map(|p| (p.function.as_str(), p.line)).collect();
    assert_eq!(named, [("charge", 18), ("buy", 31)], "who holds it comes first");
}

/// Of a futex nobody knows who holds it; the report named only the helper in which all routes ask for the lock.
#[test]
fn who_alone_waits_for_something_else_is_taken_for_the_holder_where_none_is_named() {
    let seen_at = |calls: f64| {
        let stacks = vec![
            threads(15.9 - calls, LOCK, &[2, 0], &[], 20),
            threads(calls, waiting_for(7311), &[3, 1], &[], 2),
        ];
        let (waits, resource) = seen(stacks, vec![peer(7311, 4, 1)]);
        assert_eq!(resource, Some(Resource::Lock));
        waiting::places(&waits, Resource::Lock).into_iter().map(|p| p.function).collect::<Vec<_>>()
    };
    assert_eq!(seen_at(0.9), ["charge", "buy"]);
    assert_eq!(seen_at(3.0), ["buy"], "three at a time hold no lock");
}

/// The client that was called was to hold the lock for less, and not who called it.
#[test]
fn a_lock_was_taken_where_others_ask_for_it_and_not_in_what_is_called_meanwhile() {
    let stacks = vec![
        threads(14.8, LOCK, &[2, 0], &[3, 6, 7, 1], 20),
        threads(1.0, waiting_for(7311), &[3, 6, 7, 1], &[], 2),
    ];
    let mut run = run_of(stacks, vec![peer(7311, 1, 1)]);
    if let Fact::Profiled(native) = &mut run.facts[1].fact {
        let own = |function: &str, file: &str, line| Frame {
            function: function.to_owned(),
            file: Some(file.to_owned()),
            line: Some(line),
            ..native.frames[0].clone()
        };
        let more = [own("rate", "src/client.c", 9), own("order", "src/stock.c", 40)];
        native.frames.extend(more);
    }
    let waits = waits(&run).unwrap();
    let holder = waits.places[0].holder.clone().unwrap();
    assert_eq!((holder.taken.line, holder.at.line, holder.what.is_some()), (40, 9, true));
    let places = waiting::places(&waits, Resource::Lock);
    assert!(places.iter().map(|p| &*p.function).eq(["order", "rate", "buy"]), "{places:?}");
}

#[test]
fn what_the_instrument_of_a_language_saw_of_its_processes_stands_for_what_the_kernel_shows() {
    let monitor = Frame { function: "monitorenter".to_owned(), ..Frame::default() };
    let java = Profile {
        window: 3,
        instrument: "java waits".to_owned(),
        looks: LOOKS / 10,
        frames: [frames(), vec![monitor]].concat(),
        // A tenth of the looks see a tenth as much.
        stacks: vec![Stack { count: 15 * LOOKS / 10, ..threads(15.0, LOCK, &[6, 0], &[], 3) }],
        ..Profile::default()
    };
    // A helper process beside it, which only the kernel's view shows.
    let helper = Stack { process: 2, ..threads(1.0, waiting_for(7311), &[3, 1], &[], 3) };
    let mut run = run_of(vec![threads(15.0, LOCK, &[4], &[], 3), helper], vec![peer(7311, 1, 1)]);
    run.facts.push(Stamped { at_s: 1.0, fact: Fact::Profiled(java) });
    let waits = waits(&run).unwrap();
    let seen: Vec<(&WaitsFor, &str)> =
        waits.places.iter().map(|p| (&p.what, p.at.as_ref().map_or("", |at| &at.function))).collect();
    let peer = WaitsFor::Peer(Some("127.0.0.1:7311".parse().unwrap()));
    assert_eq!(seen, [(&WaitsFor::Lock, "buy"), (&peer, "charge")]);
    assert!((waits.places[0].share.mid - 15.0 / 16.0).abs() < 0.01, "{waits:?}");
    assert!(waits.idle_threads < 0.01, "{waits:?}");
}

/// Answers that came 40 ms late by an acknowledgement that was put off hid a lock behind which seven of sixteen stood.
#[test]
fn a_lock_before_which_somebody_always_stands_is_the_limit_although_most_are_elsewhere() {
    let held = threads(0.9, Doing::Sleeping, &[1], &[], 2);
    let queue = |number| vec![threads(number, LOCK, &[2, 0], &[1], 20), held.clone()];
    let free = threads(9.0, Doing::WaitingForConnection, &[5], &[], 2);
    let with_free = |number| [queue(number), vec![free.clone()]].concat();
    assert_eq!(seen(with_free(7.0), Vec::new()).1, Some(Resource::Lock));
    assert_eq!(seen(with_free(1.0), Vec::new()).1, None, "it may be free at times");
    assert_ne!(seen(queue(5.0), Vec::new()).1, Some(Resource::Lock), "the workers may be what is short");
}

/// What the instrument of Python saw of the same process: no function of the C library.
fn python(stacks: Vec<Stack>) -> Fact {
    let of_threading = Frame {
        function: "Condition.wait".to_owned(),
        file: Some("/usr/lib/python3.11/threading.py".to_owned()),
        line: Some(327),
        ..Frame::default()
    };
    Fact::Profiled(Profile {
        window: 3,
        instrument: "python".to_owned(),
        looks: LOOKS,
        frames: [frames(), vec![of_threading]].concat(),
        stacks,
        ..Profile::default()
    })
}

/// A sleep in a coroutine had the report say "a pool of workers", of which there was one.
#[test]
fn a_call_that_blocks_an_event_loop_is_named() {
    let of_asyncio = Frame { function: "BaseEventLoop.run_forever".to_owned(), ..Frame::default() };
    let stacks =
        vec![threads(0.9, Doing::Sleeping, &[1, 0], &[], 5), threads(0.08, Doing::Running, &[0], &[], 1)];
    let see = |frames: Vec<Frame>| {
        let mut run = run_of(Vec::new(), Vec::new());
        let mut fact = python(stacks.clone());
        if let Fact::Profiled(profile) = &mut fact {
            profile.frames.extend(frames);
        }
        run.facts.push(Stamped { at_s: 1.0, fact });
        let (resource, said) = waiting::resource(&waits(&run).unwrap(), &config()).unwrap();
        (resource, said[0].clone())
    };
    let (resource, said) = see(vec![of_asyncio]);
    assert_eq!(resource, Resource::OneThread);
    assert!(said.contains("stands still 90 % of the time in charge"), "{said}");
    assert_eq!(see(Vec::new()).0, Resource::Pool, "a worker that is not shared");
}

/// Fifteen of sixteen threads stood before a `threading.Lock`, which the C library calls a semaphore: they were taken for idle.
#[test]
fn pythons_own_lock_is_a_lock() {
    let semaphore = vec![threads(14.8, LOCK, &[4], &[], 20)];
    let mut run = run_of(semaphore, vec![peer(7311, 1, 1)]);
    let stacks = vec![threads(14.8, LOCK, &[0], &[], 20), threads(1.0, waiting_for(7311), &[1, 0], &[], 2)];
    run.facts.push(Stamped { at_s: 1.0, fact: python(stacks) });
    let seen = waits(&run).unwrap();
    assert_eq!(waiting::resource(&seen, &config()).map(|(resource, _)| resource), Some(Resource::Lock));
    assert_eq!(seen.places[0].at.as_ref().map(|at| at.line), Some(31));

    let mut run = run_of(Vec::new(), Vec::new());
    let pool = vec![threads(14.8, LOCK, &[6, 0], &[], 2), threads(4.0, LOCK, &[6], &[], 2)];
    run.facts.push(Stamped { at_s: 1.0, fact: python(pool) });
    let seen = waits(&run).unwrap();
    assert_eq!(seen.places[0].what, WaitsFor::Wake, "a condition is none");
    assert_eq!(seen.places.len(), 1, "and workers of a pool without work wait for nothing");
}

/// Most requests stood before the app, because the one thread that takes them in waited for its turn as well.
#[test]
fn an_interpreters_lock_that_is_always_taken_is_one_thread() {
    let take_gil = Frame { function: "take_gil".to_owned(), ..Frame::default() };
    let mut run = run_of(vec![threads(3.0, LOCK, &[6], &[], 1)], Vec::new());
    if let Fact::Profiled(native) = &mut run.facts[1].fact {
        native.frames.push(take_gil);
    }
    let at_work =
        |share: f64| vec![threads(share, Doing::Running, &[0], &[], 1), threads(3.0, LOCK, &[1, 0], &[], 1)];
    run.facts.push(Stamped { at_s: 1.0, fact: python(at_work(0.97)) });
    let seen = waits(&run).unwrap();
    assert_eq!(seen.places[0].what, WaitsFor::Interpreter, "{seen:?}");
    assert!(limit::interpreter(&seen).unwrap().contains("97 %"), "{seen:?}");
    run.facts.pop();
    run.facts.push(Stamped { at_s: 1.0, fact: python(at_work(0.4)) });
    assert_eq!(limit::interpreter(&waits(&run).unwrap()), None);
}

#[test]
fn who_waits_for_a_peer_waits_for_a_database_or_for_another_service() {
    for (port, wanted) in [(5432, Resource::Database), (7311, Resource::Downstream)] {
        let stacks = vec![threads(15.0, waiting_for(port), &[3, 1], &[], 3)];
        assert_eq!(seen(stacks, vec![peer(port, 15, 15)]).1, Some(wanted));
    }
}

/// Django asks PostgreSQL over a socket file unless it is told otherwise, and nobody was named for it.
#[test]
fn a_database_behind_a_socket_file_is_named() {
    for (path, wanted) in
        [("/run/pg/.s.PGSQL.5432", Resource::Database), ("/run/mailer.sock", Resource::Downstream)]
    {
        let address = Address::Unix(path.to_owned());
        let doing = Doing::WaitingForPeer { address: Some(address.clone()) };
        let peers = vec![Peer {
            address: address.clone(),
            looks: 50,
            connections: 50 * 15,
            awaited: 0,
            asked_per_s: None,
        }];
        let (waits, resource) = seen(vec![threads(15.0, doing, &[3, 1], &[], 3)], peers);
        assert_eq!(resource, Some(wanted));
        assert_eq!(waiting::link(&waits, &config()).unwrap().address, address);
        let mut config = config();
        let url = format!("postgresql:///shop?host={}", path.rsplit_once('/').unwrap().0);
        config.app.env.insert("STORE".to_owned(), url);
        let link =
            Link { env: Some("STORE".to_owned()), kind: LinkKind::Postgres, path: None, disposable: true };
        config.links.insert("store".to_owned(), link);
        let link = waiting::link(&waits, &config).unwrap();
        assert_eq!((link.name.as_deref(), link.is_database), (Some("store"), true));
    }
}

#[test]
fn an_event_loop_shows_whom_it_asked_by_its_connections() {
    let looping = || vec![threads(0.9, Doing::WaitingForEvents, &[], &[], 1)];
    let (waits, resource) = seen(looping(), vec![peer(7311, 16, 15)]);
    assert_eq!(resource, Some(Resource::Downstream));
    assert!(waits.event_loop && waits.places[0].at.is_none(), "{waits:?}");
    assert_eq!(
        seen(looping(), vec![peer(5432, 2, 2)]).1,
        Some(Resource::Pool),
        "two connections for sixteen"
    );
    assert_eq!(seen(looping(), vec![peer(5432, 8, 1)]).1, None, "most wait where nobody can see");
    assert_eq!(seen(looping(), Vec::new()).1, None);
}

#[test]
fn few_workers_that_are_all_taken_are_a_pool_and_idle_ones_are_none() {
    let asleep = |number| threads(number, Doing::Sleeping, &[1], &[], 2);
    assert_eq!(seen(vec![asleep(2.0)], Vec::new()).1, Some(Resource::Pool));
    let idle = threads(3.0, Doing::WaitingForConnection, &[5], &[], 2);
    let (waits, resource) = seen(vec![asleep(2.0), idle], Vec::new());
    assert_eq!(resource, None, "{waits:?}");
    assert!((waits.idle_threads - 3.0).abs() < 0.01);
}

/// Eight threads of a web server, seven of them at a database without an index: half of the users waited before the threads, so
/// nobody was seen to hold up most of the requests.
#[test]
fn what_nearly_all_workers_wait_for_is_named_where_all_are_taken() {
    let at_database = threads(7.0, waiting_for(5432), &[3, 1], &[], 3);
    let timer = threads(1.0, Doing::Sleeping, &[3], &[], 1);
    let of = |more: Vec<Stack>| {
        let stacks = [vec![at_database.clone(), timer.clone()], more].concat();
        let waits = seen(stacks, vec![peer(5432, 8, 7)]).0;
        waiting::link_of_workers(&waits, &config()).map(|link| link.is_database)
    };
    assert_eq!(of(Vec::new()), Some(true));
    assert_eq!(of(vec![threads(3.0, Doing::WaitingForConnection, &[5], &[], 2)]), None, "three are free");
    assert_eq!(of(vec![threads(4.0, Doing::Sleeping, &[1], &[], 2)]), None, "four wait for something else");
}

/// Of php-fpm behind nginx, and of gunicorn's workers behind the process that started them, nobody said that they were too few.
#[test]
fn workers_behind_somebody_who_serves_many_are_still_workers() {
    let of = |process, stack: Stack| Stack { process, ..stack };
    let in_front = of(9, threads(0.9, Doing::WaitingForEvents, &[], &[], 1));
    let worker = |process| of(process, threads(0.95, Doing::Sleeping, &[1], &[], 2));
    assert_eq!(seen(vec![in_front.clone(), worker(1), worker(2)], Vec::new()).1, Some(Resource::Pool));
    let idle = of(3, threads(0.9, Doing::WaitingForConnection, &[5], &[], 2));
    assert_eq!(seen(vec![in_front.clone(), worker(1), worker(2), idle], Vec::new()).1, None);
    assert_eq!(seen(vec![in_front, of(9, worker(1))], Vec::new()).1, None, "a thread beside an event loop");
}

#[test]
fn who_never_moved_served_no_request() {
    let stuck = threads(1.0, Doing::WaitingForChild, &[0], &[], LOOKS);
    let (waits, _) = seen(vec![stuck, threads(2.0, Doing::Sleeping, &[1], &[], 2)], Vec::new());
    assert!(waits.places.iter().all(|wait| wait.what != WaitsFor::Child), "{waits:?}");
}

#[test]
fn a_condition_is_no_lock() {
    let stacks = vec![threads(14.0, LOCK, &[4, 0], &[], 2)];
    let (waits, resource) = seen(stacks, Vec::new());
    assert_eq!(waits.places[0].what, WaitsFor::Wake);
    assert_eq!(resource, Some(Resource::Pool), "whoever lets them go on one after the other is one of few");
    let few = vec![threads(6.0, LOCK, &[4, 0], &[], 2), threads(2.5, Doing::Sleeping, &[1], &[], 2)];
    assert_eq!(seen(few, Vec::new()).1, None, "most are elsewhere");
    let workers = vec![threads(14.0, LOCK, &[4, 0], &[], 2), threads(14.0, Doing::Sleeping, &[1], &[], 2)];
    assert_eq!(seen(workers, Vec::new()).1, None, "more wait than there are requests: workers without work");
    let helpers = vec![threads(4.0, LOCK, &[4], &[], 2)];
    assert!(seen(helpers, Vec::new()).0.places.is_empty(), "no line of the app is on their stacks");
}

/// A Java app's pool of three connections was not told: whoever held one waited for a service by a connection that no thread showed,
/// and counted twice, as a thread and as an answer awaited.
#[test]
fn who_waits_as_a_thread_and_on_a_connection_is_one() {
    let stacks = vec![threads(12.8, LOCK, &[4, 0], &[], 2), threads(2.6, LOCK, &[4, 1], &[], 2)];
    let peers = || vec![peer(7311, 4, 3), peer(7312, 4, 3)];
    let (waits, resource) = seen(stacks.clone(), peers());
    assert_eq!(resource, Some(Resource::Pool), "{waits:?}");
    assert!((waits.busy_threads - 15.4).abs() < 0.1, "{waits:?}");
}

/// Three connections of a database on which transactions rested were no pool, because nobody waited for their answers.
#[test]
fn connections_on_which_transactions_rest_are_taken() {
    let statement = |idle_in_transaction| Statement { idle_in_transaction, ..Statement::default() };
    let of = |resting: u64, link: &str| {
        let looping = threads(0.9, Doing::WaitingForEvents, &[], &[], 1);
        let mut run = run_of(vec![looping], vec![peer(7439, 3, 0)]);
        run.header.config.links = config_with_link().links;
        let statements = vec![statement(resting)];
        let seen =
            Statements { window: 3, link: link.to_owned(), looks: 100, statements, ..Statements::default() };
        run.facts.push(Stamped { at_s: 1.0, fact: Fact::StatementsSeen(seen) });
        waiting::resource(&waits(&run).unwrap(), &run.header.config)
    };
    let (resource, said) = of(280, "db").unwrap();
    assert_eq!(resource, Resource::Pool);
    assert!(said[0].contains("inside a transaction that waits"), "{said:?}");
    assert_eq!(of(100, "db"), None, "most of them are free");
    assert_eq!(of(280, "other"), None, "of another database");
}

fn config_with_link() -> Config {
    let text = "[app]\ncommand = \"./app\"\n[app.env]\nDATABASE = \"postgres://127.0.0.1:7439/shop\"\n[users]\njourneys = [\"a.hurl\"]\n[goal]\nusers = 40\np95 = \"100ms\"\n[links.db]\nenv = \"DATABASE\"\nkind = \"postgres\"\n";
    Config::parse(text).unwrap()
}

#[test]
fn few_separate_waits_leave_the_share_vague() {
    let of =
        |lasts| seen(vec![threads(8.0, Doing::Sleeping, &[1], &[], lasts)], Vec::new()).0.places[0].share;
    let width = |lasts| of(lasts).high - of(lasts).low;
    assert!(width(150) > 2.0 * width(2), "{:?} {:?}", of(150), of(2));
}

proptest! {
    #[test]
    fn any_looks_give_shares(numbers in prop::collection::vec((0.0f64..40.0, 0usize..6, 1u64..90), 0..12), peers in prop::collection::vec((1u16..9999, 0u64..40, 0u64..40), 0..4)) {
        let doings = [LOCK, Doing::Sleeping, waiting_for(80), Doing::WaitingForClient, Doing::WaitingForEvents, Doing::WaitingForChild];
        let stacks = numbers.iter().map(|&(n, doing, lasts)| threads(n, doings[doing].clone(), &[2, 0], &[], lasts)).collect();
        let peers = peers.iter().map(|&(port, all, awaited)| peer(port, all, awaited.min(all))).collect();
        let (waits, _) = seen(stacks, peers);
        for wait in &waits.places {
            prop_assert!(0.0 <= wait.share.low && wait.share.low <= wait.share.mid, "{wait:?}");
            prop_assert!(wait.share.mid <= wait.share.high && wait.share.high <= 1.0, "{wait:?}");
        }
        prop_assert!(waits.places.is_sorted_by(|a, b| a.share.mid >= b.share.mid));
    }
}

/// In Ruby C code of a library mostly runs with the interpreter's lock; only what runs without it does not hold it.
#[test]
fn rubys_lock_is_held_by_c_code_that_keeps_it() {
    let in_c = |library: &str| Frame {
        function: "C code".to_owned(),
        module: Some(library.to_owned()),
        ..Frame::default()
    };
    let held = |library: &str| {
        let mut run = run_of(Vec::new(), Vec::new());
        let mut fact = python(vec![threads(0.9, Doing::Running, &[0], &[], 5)]);
        if let Fact::Profiled(profile) = &mut fact {
            profile.instrument = "ruby".to_owned();
            profile.frames.insert(0, in_c(library));
        }
        run.facts.push(Stamped { at_s: 1.0, fact });
        waits(&run).unwrap().interpreter_held
    };
    assert!(held("openssl.so") > 0.85);
    assert_eq!(held("extension.so"), 0.0);
}
