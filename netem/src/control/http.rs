//! HTTP/1.1 as far as a control needs it (RFC 9112): one request, one response, the end.

use std::fmt;

/// A longer request line and header section is refused.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// A longer body is refused.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// `GET`, `PATCH`, `POST`…
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// Whom the client believes to talk to, in lower case.
    pub host: Option<String>,
    /// What the body is, without parameters, in lower case.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not HTTP/1.
    #[error("not an HTTP/1 request")]
    Syntax,
    /// The head is too long.
    #[error("the request line and headers are longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// The body is too long.
    #[error("the body is longer than {BODY_BYTES_MAX} bytes")]
    BodyTooLong,
    /// A body whose length is not said.
    #[error("a body needs a Content-Length")]
    NoLength,
}

impl HttpError {
    /// The status code that says so.
    pub const fn status(self) -> u16 {
        match self {
            Self::Syntax => 400,
            Self::HeadTooLong => 431,
            Self::BodyTooLong => 413,
            Self::NoLength => 411,
        }
    }
}

/// Parses a request; `None` while bytes are missing.
///
/// ```
/// use netem::control::http::parse_request;
/// let bytes = b"PATCH /links/up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
/// let request = parse_request(bytes)?.unwrap();
/// assert_eq!((request.method.as_str(), request.path.as_str()), ("PATCH", "/links/up"));
/// assert_eq!(parse_request(&bytes[..40])?, None);
/// # Ok::<(), netem::control::http::HttpError>(())
/// ```
///
/// # Errors
/// [`HttpError`].
pub fn parse_request(bytes: &[u8]) -> Result<Option<Request>, HttpError> {
    // RFC 9112, section 2.2: empty lines before the request line are ignored.
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(HttpError::HeadTooLong) } else { Ok(None) };
    };
    if end > HEAD_BYTES_MAX {
        return Err(HttpError::HeadTooLong);
    }
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| HttpError::Syntax)?;
    let mut lines = head.split("\r\n");
    let mut request = request_line(lines.next().unwrap_or_default())?;
    let mut length = None;
    for line in lines {
        // RFC 9112, section 5.1: no space between the name and the colon.
        let (name, value) = line.split_once(':').ok_or(HttpError::Syntax)?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(HttpError::Syntax);
        }
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => request.host = Some(value.to_ascii_lowercase()),
            "content-type" => {
                let kind = value.split(';').next().unwrap_or_default().trim();
                request.content_type = Some(kind.to_ascii_lowercase());
            }
            "content-length" => {
                let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let number = value.parse::<usize>().unwrap_or(usize::MAX);
                // RFC 9112, section 6.3: two different lengths are an attack.
                if !is_number || length.is_some_and(|before| before != number) {
                    return Err(HttpError::Syntax);
                }
                length = Some(number);
            }
            "transfer-encoding" => return Err(HttpError::NoLength),
            _ => {}
        }
    }
    let length = length.unwrap_or(0);
    if length > BODY_BYTES_MAX {
        return Err(HttpError::BodyTooLong);
    }
    let body = &bytes[end + 4..];
    if body.len() < length {
        return Ok(None);
    }
    request.body = body[..length].to_vec();
    Ok(Some(request))
}

fn request_line(line: &str) -> Result<Request, HttpError> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HttpError::Syntax);
    };
    let is_method = !method.is_empty() && method.bytes().all(is_token);
    if !is_method || !target.starts_with('/') || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(HttpError::Syntax);
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    Ok(Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() })
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// What the body is.
    pub content_type: &'static str,
    /// The methods that would be allowed, with status 405.
    pub allow: Option<&'static str>,
    /// The body.
    pub body: String,
}

impl Response {
    /// All went well.
    pub fn ok(content_type: &'static str, body: String) -> Self {
        Self { status: 200, content_type, allow: None, body }
    }

    /// `{"error": …}`.
    pub fn error(status: u16, message: &impl fmt::Display) -> Self {
        let message = super::json::quoted(&message.to_string());
        let (content_type, body) = ("application/json", format!("{{\"error\": {message}}}\n"));
        Self { status, content_type, allow: None, body }
    }

    /// The bytes of the response; without the body, if the request was `HEAD`.
    pub fn to_bytes(&self, is_head: bool) -> Vec<u8> {
        let Self { status, content_type, allow, body } = self;
        let allow = allow.map_or_else(String::new, |methods| format!("Allow: {methods}\r\n"));
        let head = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'self' 'unsafe-inline'; frame-ancestors 'none'\
             \r\nConnection: close\r\n\r\n",
            reason(*status),
            body.len(),
        );
        let body = if is_head { &[] } else { body.as_bytes() };
        [head.as_bytes(), body].concat()
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        _ => "Error",
    }
}
