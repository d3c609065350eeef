//! Which goroutines serve a request: those of net/http, which most frameworks stand on, of fasthttp and of gRPC.

use super::code::Line;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A request.
    Serves,
    /// Holds a connection on which none has come yet.
    Rests,
    /// Listens, while another serves a request, whether its client hangs up.
    Listens,
    Other,
}

/// What calls an app's handler, in a goroutine of its own.
const HANDLES: [&str; 5] = [
    "net/http.serverHandler.ServeHTTP",
    "net/http.(*http2serverConn).runHandler",
    "net/http/internal/http2.(*serverConn).runHandler",
    "golang.org/x/net/http2.(*serverConn).runHandler",
    "google.golang.org/grpc.(*Server).handleStream",
];
const HOLDS: &str = "net/http.(*conn).serve";
const LISTENS: &str = "net/http.(*connReader).backgroundRead";
/// Holds a connection, reads its requests and calls the handler itself.
const READS_AND_HANDLES: &str = "github.com/valyala/fasthttp.(*Server).serveConn";
/// Packages whose functions it calls to read a request and to write an answer.
const READS: [&str; 7] =
    ["github.com/valyala/fasthttp.", "bufio.", "crypto/tls.", "net.", "runtime.", "sync.", "time."];

/// By the functions on its stack, innermost first.
pub(super) fn role<'l>(lines: impl Iterator<Item = &'l Line>) -> Role {
    let mut called = "";
    for function in lines.map(|line| &*line.function) {
        if HANDLES.contains(&function) {
            return Role::Serves;
        }
        if function == HOLDS {
            return Role::Rests;
        }
        if function == LISTENS {
            return Role::Listens;
        }
        if function == READS_AND_HANDLES {
            let reads = called.is_empty() || READS.iter().any(|package| called.starts_with(package));
            return if reads { Role::Rests } else { Role::Serves };
        }
        called = function;
    }
    Role::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_serves_a_request_is_known_by_its_callers() {
        let of = |functions: &[&str]| {
            let line =
                |function: &&str| Line { function: (*function).to_owned(), file: String::new(), line: 1 };
            role(functions.iter().map(line).collect::<Vec<_>>().iter())
        };
        assert_eq!(of(&["time.Sleep", "main.order", HANDLES[0], HOLDS]), Role::Serves);
        assert_eq!(of(&["bufio.(*Reader).Peek", HOLDS]), Role::Rests);
        assert_eq!(of(&["net.(*conn).Read", LISTENS]), Role::Listens);
        assert_eq!(of(&["bufio.(*Reader).Peek", READS_AND_HANDLES]), Role::Rests);
        assert_eq!(of(&["github.com/gofiber/fiber/v2.(*App).handler", READS_AND_HANDLES]), Role::Serves);
        assert_eq!(of(&["runtime.chanrecv", "main.worker"]), Role::Other);
        assert_eq!(of(&[]), Role::Other);
    }
}
