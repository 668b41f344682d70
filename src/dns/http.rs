//! DNS messages over HTTP/1.1: the request, and the response cut out of a stream. Sans-IO.
//!
//! RFC 8484 (POST, `application/dns-message`), RFC 9112 (framing). Heads are read by `httparse`.
//!
//! Rules of this file: no panic on any bytes; a head and a body are bounded by [`HEAD_LEN_MAX`]
//! and [`BODY_LEN_MAX`].

/// Longest head of a response, in octets.
pub const HEAD_LEN_MAX: usize = 16 * 1024;
/// Longest body: a DNS message.
pub const BODY_LEN_MAX: usize = 65_535;
/// Most headers of a response.
const HEADERS_MAX: usize = 64;
/// The head of an HTTP/2 frame. RFC 9113 §4.1.
const FRAME_HEAD_LEN: usize = 9;
/// The media type. RFC 8484 §6.
const MEDIA_TYPE: &str = "application/dns-message";

/// Why bytes are no response to us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not HTTP/1.x, or more of it than we take.
    #[error("the server does not speak HTTP/1.1: {0}")]
    Malformed(&'static str),
    /// HTTP/2, which begins with its own frames whatever we say. RFC 9113 §3.4.
    #[error(
        "the server speaks HTTP/2 only and we ask over HTTP/1.1: ask it over TLS (port 853), or \
         another server"
    )]
    Http2,
    /// Another status than success.
    #[error("the server answered with HTTP status {0}")]
    Status(u16),
    /// Another media type.
    #[error("the server sent {0:?} and not application/dns-message")]
    MediaType(String),
}

/// The bytes of a request. `host` and `path` are printable ASCII by construction of the caller.
///
/// ```
/// let request = udpcore::dns::http::request("dns.test", "/dns-query", b"abc");
/// assert!(request.starts_with(b"POST /dns-query HTTP/1.1\r\nHost: dns.test\r\n"));
/// ```
pub fn request(host: &str, path: &str, message: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {MEDIA_TYPE}\r\n\
         Content-Type: {MEDIA_TYPE}\r\nContent-Length: {}\r\n\r\n",
        message.len()
    );
    [head.as_bytes(), message].concat()
}

/// How long the body is.
#[derive(Debug, Clone, Copy)]
enum Body {
    Exactly(usize),
    Chunked,
}

/// Cuts a stream into the bodies of responses.
#[derive(Debug, Default)]
pub struct Responses {
    held: Vec<u8>,
    closing: bool,
}

impl Responses {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Whether the server said that it closes the connection. RFC 9112 §9.6.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The body of the next whole response.
    ///
    /// # Errors
    /// [`HttpError`]; the stream is of no use then.
    pub fn pop(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        loop {
            let Some((status, head_len, body)) = self.head()? else { return Ok(None) };
            // RFC 9110 §15.2: interim responses have no body and are passed over.
            if (100..200).contains(&status) {
                self.held.drain(..head_len);
                continue;
            }
            let rest = &self.held[head_len..];
            let (message, used) = match body {
                Body::Exactly(len) if rest.len() < len => return Ok(None),
                Body::Exactly(len) => (rest[..len].to_vec(), len),
                Body::Chunked => match chunks(rest)? {
                    Some(found) => found,
                    None => return Ok(None),
                },
            };
            self.held.drain(..head_len + used);
            return Ok(Some(message));
        }
    }

    fn head(&mut self) -> Result<Option<(u16, usize, Body)>, HttpError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        if is_http2(&self.held) {
            return Err(HttpError::Http2);
        }
        if self.held.first() == Some(&0) && self.held.len() < FRAME_HEAD_LEN {
            return Ok(None);
        }
        let parsed = response.parse(&self.held);
        let parsed = parsed.map_err(|_| HttpError::Malformed("no such head"))?;
        let httparse::Status::Complete(head_len) = parsed else {
            return match self.held.len() {
                len if len > HEAD_LEN_MAX => Err(HttpError::Malformed("a head without end")),
                _ => Ok(None),
            };
        };
        let field = |name: &str| {
            let found = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
            found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
        };
        let status = response.code.unwrap_or_default();
        if (100..200).contains(&status) {
            return Ok(Some((status, head_len, Body::Exactly(0))));
        }
        // RFC 8484 §4.2.1: anything but success says nothing about the question.
        if !(200..300).contains(&status) {
            return Err(HttpError::Status(status));
        }
        let media = field("content-type").unwrap_or("nothing");
        let essence = media.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(MEDIA_TYPE) {
            return Err(HttpError::MediaType(media.to_owned()));
        }
        // RFC 9112 §6.3: chunked wins over a length.
        let body = if field("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"))
        {
            Body::Chunked
        } else {
            let len = field("content-length").and_then(|text| text.parse::<usize>().ok());
            Body::Exactly(len.ok_or(HttpError::Malformed("a body without length"))?)
        };
        if matches!(body, Body::Exactly(len) if len > BODY_LEN_MAX) {
            return Err(HttpError::Malformed("a body longer than a DNS message"));
        }
        self.closing |= field("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        Ok(Some((status, head_len, body)))
    }
}

/// Whether the stream begins with a SETTINGS or GOAWAY frame on stream 0. RFC 9113 §4.1.
fn is_http2(stream: &[u8]) -> bool {
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    matches!(stream, [0, _, _, SETTINGS | GOAWAY, _, 0, 0, 0, 0, ..])
}

/// The body behind its chunk sizes, and how many octets they took together. RFC 9112 §7.1.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, HttpError> {
    const CRLF_LEN: usize = 2;
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let size = httparse::parse_chunk_size(&bytes[at..]);
        let size = size.map_err(|_| HttpError::Malformed("a chunk without size"))?;
        let httparse::Status::Complete((used, len)) = size else {
            return match bytes.len() - at {
                left if left > HEAD_LEN_MAX => Err(HttpError::Malformed("an endless chunk size")),
                _ => Ok(None),
            };
        };
        at += used;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > BODY_LEN_MAX - body.len() {
            return Err(HttpError::Malformed("a body longer than a DNS message"));
        }
        // Trailers are not expected: the last chunk ends with an empty line.
        let Some(chunk) = bytes.get(at..at + len + CRLF_LEN) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err(HttpError::Malformed("a chunk that does not end"));
        }
        body.extend_from_slice(&chunk[..len]);
        at += len + CRLF_LEN;
        if len == 0 {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &[u8], step: usize) -> Result<Vec<Vec<u8>>, HttpError> {
        let (mut responses, mut out) = (Responses::default(), Vec::new());
        for piece in stream.chunks(step) {
            responses.push(piece);
            while let Some(body) = responses.pop()? {
                out.push(body);
            }
        }
        Ok(out)
    }

    #[test]
    fn a_stream_is_cut_wherever_it_breaks() {
        let stream = [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: Application/DNS-message\r\n",
            "Content-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\ncontent-type: application/dns-message; x=y\r\n",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;q\r\nf\r\n0\r\n\r\n",
        ]
        .concat();
        let stream = stream.as_bytes();
        for step in 1..stream.len() {
            assert_eq!(read(stream, step), Ok(vec![b"abc".to_vec(), b"def".to_vec()]), "{step}");
        }
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n";
        for (text, error) in [
            ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), HttpError::Status(404)),
            ("SSH-2.0-x\r\n\r\n".to_owned(), HttpError::Malformed("no such head")),
            ("\0\0\0\x04\0\0\0\0\0".to_owned(), HttpError::Http2),
            ("\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01".to_owned(), HttpError::Http2),
            (format!("{ok}\r\n"), HttpError::Malformed("a body without length")),
            (
                format!("{ok}Content-Length: 65536\r\n\r\n"),
                HttpError::Malformed("a body longer than a DNS message"),
            ),
            (
                format!("{ok}Transfer-Encoding: chunked\r\n\r\n1\r\nabc"),
                HttpError::Malformed("a chunk that does not end"),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n".to_owned(),
                HttpError::MediaType("text/html".to_owned()),
            ),
        ] {
            assert_eq!(read(text.as_bytes(), 7), Err(error), "{text}");
        }
        let endless = [ok.as_bytes(), &[b'a'; HEAD_LEN_MAX + 1]].concat();
        assert_eq!(read(&endless, 4096), Err(HttpError::Malformed("a head without end")));
    }
}
