//! DNSSEC: does a chain of signatures lead from a trust anchor to this answer?
//!
//! RFC 4033 to 4035, RFC 5155, RFC 6840. The proof is the work of `domain`'s validator; this
//! file asks for the keys it needs in the way it is given ([`Ask`]: datagrams, or a connection
//! that is there), remembers what was proven, and says the verdict in words.
//!
//! Rules of this file: no runtime is started. The validator's futures are polled on the calling
//! thread, and ours are always ready. What could not be asked for is never remembered.

use super::dns::{ExchangeError, exchange};
use crate::dns::client::{Config, Outcome};
use crate::dns::{Message, Name, query::Query};
use bytes::Bytes;
use domain::base::Message as Octets;
use domain::dnssec::validator::anchor::TrustAnchors;
use domain::dnssec::validator::context::{ValidationContext, ValidationState};
use domain::net::client::request::{
    ComposeRequest, Error as RequestError, GetResponse, RequestMessage, SendRequest,
};
use std::cell::RefCell;
use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// The keys of the root: those of 2017 and of 2024 (IANA, root-anchors.xml).
pub const ROOT_ANCHOR: &str = "\
. 172800 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. 172800 IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
";
/// Anchors and servers whose proven keys are remembered.
const CONTEXTS_MAX: usize = 8;
/// Longest sleep without a look at the caller's check.
const PARK_MAX: Duration = Duration::from_millis(50);

/// What validation says about an answer. RFC 4033 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Signed, all the way from the anchor.
    Secure,
    /// Proven to be unsigned, or below no anchor.
    Insecure,
    /// It should be signed, and is not, or not rightly.
    Bogus,
}

/// A verdict and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The verdict.
    pub security: Security,
    /// Why, in words.
    pub reason: String,
}

/// What the caller's check says when it wants us to stop.
pub type Interrupt = Box<dyn Error + Send + Sync>;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The text of the anchor has no DS or DNSKEY record in the form of a zone file.
    #[error("trust anchor {0:?} is not DS or DNSKEY records as in a zone file")]
    Anchor(String),
    /// The caller's check said stop.
    #[error("interrupted")]
    Interrupted(Interrupt),
}

/// Why a key could not be had.
#[derive(Debug)]
pub enum NoKey {
    /// The caller's check said stop.
    Interrupted(Interrupt),
    /// Nobody answered, in words.
    NoAnswer(String),
}

/// Asks one question and gives the answer, whatever it says.
pub type Ask = Box<dyn FnMut(Query) -> Result<Message, NoKey>>;

/// Asks as `config` says, of its servers; `check` is called as by [`exchange`].
pub fn over_datagrams(config: Config, check: fn() -> Result<(), Interrupt>) -> Ask {
    Box::new(move |query| {
        let what = format!("{} of {}", query.rdtype, query.name);
        let config = Config { query, cookies: Vec::new(), ..config.clone() };
        match exchange(config, true, check) {
            Ok(report) => match report.outcome {
                Outcome::Answer { message, .. } => Ok(message),
                _ => Err(NoKey::NoAnswer(format!("{what} could not be asked for"))),
            },
            Err(ExchangeError::Interrupted(why)) => Err(NoKey::Interrupted(why)),
            Err(ExchangeError::System(error)) => Err(NoKey::NoAnswer(format!("{what}: {error}"))),
        }
    })
}

/// Validates `message` with keys that `ask` gets, from `source`: what is proven is remembered for
/// it. `anchor` holds DS or DNSKEY records in the form of a zone file; `check` is called while
/// another thread proves the same.
///
/// # Errors
/// See [`ValidateError`]. Keys that cannot be had are no error but a bogus answer.
pub fn validate(
    message: &Message,
    source: &str,
    anchor: &str,
    ask: Ask,
    check: fn() -> Result<(), Interrupt>,
) -> Result<Verdict, ValidateError> {
    let chain = chain_for(source, anchor)?;
    let octets = Octets::from_octets(message.wire().to_vec());
    let Ok(mut octets) = octets else {
        return Ok(Verdict::bogus("the message is shorter than a header"));
    };
    let asking = AskingHere::begin(ask);
    let proof = block_on(chain.context.validate_msg::<Vec<u8>, Vec<u8>>(&mut octets), check);
    let failure = asking.end();
    let proof = proof.map_err(ValidateError::Interrupted)?;
    if let Some(failure) = failure {
        // Who blocks our questions must not get a verdict that stays.
        contexts().retain(|known| !Arc::ptr_eq(known, &chain));
        return match failure {
            NoKey::Interrupted(why) => Err(ValidateError::Interrupted(why)),
            NoKey::NoAnswer(what) => Ok(Verdict::bogus(&what)),
        };
    }
    Ok(match proof {
        Ok((state, extended)) => {
            let said = extended.and_then(|error| {
                let text = String::from_utf8_lossy(error.text_slice()?).into_owned();
                (!text.is_empty()).then_some(text)
            });
            Verdict::of(state, said)
        }
        Err(error) => Verdict::bogus(&format!("the answer cannot be validated: {error:?}")),
    })
}

impl Verdict {
    fn bogus(reason: &str) -> Self {
        Self { security: Security::Bogus, reason: reason.to_owned() }
    }

    fn of(state: ValidationState, said: Option<String>) -> Self {
        let (security, usual) = match state {
            ValidationState::Secure => (Security::Secure, "signed by a chain from the anchor"),
            ValidationState::Insecure => (Security::Insecure, "proven to be unsigned"),
            ValidationState::Indeterminate => (Security::Insecure, "below no trust anchor"),
            ValidationState::Bogus => (Security::Bogus, "not signed as its zone must be"),
        };
        Self { security, reason: said.unwrap_or_else(|| usual.to_owned()) }
    }
}

/// A validator with what it has proven so far, and what that was proven with.
struct Chain {
    anchor: String,
    source: String,
    context: ValidationContext<Upstream>,
}

fn contexts() -> MutexGuard<'static, Vec<Arc<Chain>>> {
    static CONTEXTS: Mutex<Vec<Arc<Chain>>> = Mutex::new(Vec::new());
    CONTEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn chain_for(source: &str, anchor: &str) -> Result<Arc<Chain>, ValidateError> {
    let mut known = contexts();
    if let Some(chain) = known.iter().find(|c| c.source == source && c.anchor == anchor) {
        return Ok(chain.clone());
    }
    let text = anchor.split_whitespace();
    let keys = text.filter(|word| matches!(*word, "DS" | "DNSKEY")).count();
    let anchors = TrustAnchors::from_u8(anchor.as_bytes()).ok().filter(|_| keys > 0);
    let anchors = anchors.ok_or_else(|| ValidateError::Anchor(anchor.to_owned()))?;
    let context = ValidationContext::new(anchors, Upstream);
    let chain = Arc::new(Chain { anchor: anchor.to_owned(), source: source.to_owned(), context });
    if known.len() >= CONTEXTS_MAX {
        known.remove(0);
    }
    known.push(chain.clone());
    Ok(chain)
}

thread_local! {
    /// How this thread asks, while it validates: threads share what is proven, not this.
    static ASKING: RefCell<Option<(Ask, Option<NoKey>)>> = const { RefCell::new(None) };
}

/// While it lives, this thread's validator may ask.
struct AskingHere;

impl AskingHere {
    fn begin(ask: Ask) -> Self {
        ASKING.set(Some((ask, None)));
        Self
    }

    /// The first failure there was.
    fn end(self) -> Option<NoKey> {
        ASKING.take().and_then(|(_, failure)| failure)
    }
}

impl Drop for AskingHere {
    fn drop(&mut self) {
        drop(ASKING.take());
    }
}

/// How the validator asks for keys: as the thread it runs on does.
#[derive(Clone)]
struct Upstream;

impl Upstream {
    fn ask(&self, request: &RequestMessage<Vec<u8>>) -> Result<Octets<Bytes>, RequestError> {
        let wire = request.to_vec()?;
        let asked = Message::parse(wire).map_err(|_| RequestError::FormError)?;
        let question = asked.questions().next().ok_or(RequestError::FormError)?;
        let mut query = Query::new(Name::from(question.name), question.rdtype);
        // RFC 4035 §4.9.1 and §3.2.2: signatures, also of what the server itself finds bogus.
        (query.dnssec_ok, query.checking_disabled) = (true, true);
        // Taken out meanwhile: a signal handler that runs may validate something, too.
        let Some((mut ask, mut failure)) = ASKING.take() else {
            return Err(RequestError::NoTransportAvailable);
        };
        let answer = ask(query).map_err(|why| failure.get_or_insert(why));
        let answer = answer.map_err(|_| RequestError::NoTransportAvailable);
        ASKING.set(Some((ask, failure)));
        Octets::from_octets(Bytes::copy_from_slice(answer?.wire()))
            .map_err(|_| RequestError::ShortMessage)
    }
}

impl SendRequest<RequestMessage<Vec<u8>>> for Upstream {
    fn send_request(&self, request: RequestMessage<Vec<u8>>) -> Box<dyn GetResponse + Send + Sync> {
        Box::new(Answered(Some(self.ask(&request))))
    }
}

type Response = Result<Octets<Bytes>, RequestError>;

/// An answer that is already here.
#[derive(Debug)]
struct Answered(Option<Response>);

impl GetResponse for Answered {
    fn get_response(&mut self) -> Pin<Box<dyn Future<Output = Response> + Send + Sync + '_>> {
        let response = self.0.take().unwrap_or(Err(RequestError::ConnectionClosed));
        Box::pin(std::future::ready(response))
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls `future` to its end on this thread. It waits only while another thread holds an entry
/// of the validator's caches.
fn block_on<F: Future>(
    future: F,
    check: fn() -> Result<(), Interrupt>,
) -> Result<F::Output, Interrupt> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        thread::park_timeout(PARK_MAX);
        check()?;
    }
}
