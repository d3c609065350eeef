//! The inspector of a Node process: the Chrome DevTools Protocol (<https://chromedevtools.github.io/devtools-protocol/v8>)
//! over a WebSocket on loopback.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client::client_with_config};

/// A thread answers at its next function call or jump back in a loop; a profile of many stacks takes a while to write.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A profile of a large app is tens of megabytes.
const MESSAGE_BYTES_MAX: usize = 512 << 20;

pub(super) struct Inspector {
    pub pid: u32,
    socket: WebSocket<TcpStream>,
    asked: u64,
    answers: HashMap<u64, Value>,
    workers: Vec<Thread>,
    source_maps: BTreeMap<String, String>,
}

/// A thread that runs JavaScript: the main one, or a worker by its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thread(Option<Worker>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Worker {
    session: String,
    title: String,
}

impl Thread {
    /// Of a worker; the main thread's the kernel knows.
    pub fn name(&self) -> Option<String> {
        self.0.as_ref().map(|worker| worker.title.clone())
    }
}

/// A question that was asked.
pub(super) struct Question(u64);

impl Inspector {
    /// The one that this process has opened, if it has: `inspect.cjs` wrote down where.
    pub fn of(pid: u32, hooks: &Path) -> Option<Self> {
        let url = std::fs::read_to_string(hooks.join(format!("{pid}.inspector"))).ok()?;
        let address: SocketAddr = url.strip_prefix("ws://")?.split('/').next()?.parse().ok()?;
        let stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
        stream.set_write_timeout(Some(ANSWER_WITHIN)).ok()?;
        let sizes = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let (socket, _) = client_with_config(url, stream, Some(sizes)).ok()?;
        let mut inspector = Self {
            pid,
            socket,
            asked: 0,
            answers: HashMap::new(),
            workers: Vec::new(),
            source_maps: BTreeMap::new(),
        };
        // Workers are made known one by one, before the answer to the second question.
        for (method, arguments) in [
            ("NodeWorker.enable", json!({ "waitForDebuggerOnStart": false })),
            ("Profiler.enable", json!({})),
        ] {
            let question = inspector.ask(&Thread(None), method, arguments).ok()?;
            let _ = inspector.answer(question); // a Node without workers refuses the first
        }
        Some(inspector)
    }

    /// All that are known.
    pub fn threads(&self) -> Vec<Thread> {
        [Thread(None)].into_iter().chain(self.workers.iter().cloned()).collect()
    }

    pub fn ask(&mut self, thread: &Thread, method: &str, arguments: Value) -> Result<Question, String> {
        let mut id = self.next();
        let mut message = json!({ "id": id, "method": method, "params": arguments });
        let question = Question(id);
        if let Some(Worker { session, .. }) = &thread.0 {
            id = self.next();
            let arguments = json!({ "sessionId": session, "message": message.to_string() });
            message = json!({ "id": id, "method": "NodeWorker.sendMessageToWorker", "params": arguments });
        }
        self.socket
            .send(Message::text(message.to_string()))
            .map_err(|e| format!("its inspector hears nothing ({e})"))?;
        Ok(question)
    }

    pub fn answer(&mut self, question: Question) -> Result<Value, String> {
        loop {
            if let Some(mut answer) = self.answers.remove(&question.0) {
                if let Some(message) = answer.pointer("/error/message").and_then(Value::as_str) {
                    return Err(format!("its inspector refuses: {message}"));
                }
                return Ok(answer.get_mut("result").map(Value::take).unwrap_or_default());
            }
            let message = self.socket.read().map_err(|e| format!("its inspector does not answer ({e})"))?;
            if let Message::Text(text) = message {
                self.hear(&text);
            }
        }
    }

    /// Which script says that it was made of other sources, and where it says that they are told: by the script's URL.
    pub fn source_maps(&mut self, thread: &Thread) -> BTreeMap<String, String> {
        for method in ["Debugger.enable", "Debugger.disable"] {
            if let Ok(question) = self.ask(thread, method, json!({})) {
                let _ = self.answer(question); // then lines are those of the scripts themselves
            }
        }
        std::mem::take(&mut self.source_maps)
    }

    fn next(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    fn hear(&mut self, text: &str) {
        let Ok(message) = serde_json::from_str::<Value>(text) else { return };
        if let Some(id) = message.get("id").and_then(Value::as_u64) {
            self.answers.insert(id, message);
            return;
        }
        let said = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        match said("/method") {
            "NodeWorker.attachedToWorker" => {
                let (session, title) = (said("/params/sessionId"), said("/params/workerInfo/title"));
                self.workers
                    .push(Thread(Some(Worker { session: session.to_owned(), title: title.to_owned() })));
            }
            "NodeWorker.receivedMessageFromWorker" => self.hear(said("/params/message")),
            "Debugger.scriptParsed" if !said("/params/sourceMapURL").is_empty() => {
                self.source_maps
                    .insert(said("/params/url").to_owned(), said("/params/sourceMapURL").to_owned());
            }
            _ => {}
        }
    }
}
