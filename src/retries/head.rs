//! A request's head, kept to send it again.

use std::cell::RefCell;
use std::fmt;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Uri, Version};

/// The head of a request.
///
/// Its texts are kept in one buffer: that is cheaper than to count references to each of them, and
/// most requests need no second try. Buffers are used again on the thread that drops them.
#[derive(Debug)]
pub(super) struct Head {
    method: Method,
    version: Version,
    scheme: Option<Scheme>,
    /// How long the texts of the URI are.
    authority: u32,
    target: u32,
    kept: Kept,
    /// What others have noted on it; most requests have nothing.
    extensions: Extensions,
}

/// All texts one after the other: authority and target, then each name and its value.
#[derive(Default)]
struct Kept {
    texts: Vec<u8>,
    lines: Vec<Line>,
}

/// Says nothing of the texts: some of them may be secrets.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// How long a header's texts are.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: u32,
    value: u32,
    sensitive: bool,
}

/// How many buffers a thread keeps, and how large one may be to be kept.
const KEPT: usize = 64;
const LONGEST: usize = 8 * 1024;
const MOST_LINES: usize = 64;

thread_local! {
    static BUFFERS: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

impl Head {
    /// Whether sending the request twice means what sending it once means.
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// Whether it has a header of this name, which is in lower case.
    pub(super) fn has(&self, name: &str) -> bool {
        let mut at = self.authority as usize + self.target as usize;
        self.kept.lines.iter().any(|line| {
            let text = self.kept.texts.get(at..at + line.name as usize);
            at += line.name as usize + line.value as usize;
            text == Some(name.as_bytes())
        })
    }

    pub(super) fn of<B>(request: &Request<B>) -> Self {
        // A thread that is ending has no buffers any more.
        let kept = BUFFERS.try_with(|buffers| buffers.borrow_mut().pop());
        let mut kept = kept.ok().flatten().unwrap_or_default();
        let uri = request.uri();
        let authority = uri.authority().map_or("", Authority::as_str);
        let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
        // A head is far shorter than 4 GiB: hyper, and the sum of what a map holds, see to that.
        kept.texts.extend_from_slice(authority.as_bytes());
        kept.texts.extend_from_slice(target.as_bytes());
        for (name, value) in request.headers() {
            let (name, sensitive) = (name.as_str().as_bytes(), value.is_sensitive());
            kept.lines.push(Line {
                name: name.len() as u32,
                value: value.len() as u32,
                sensitive,
            });
            kept.texts.extend_from_slice(name);
            kept.texts.extend_from_slice(value.as_bytes());
        }
        Self {
            method: request.method().clone(),
            version: request.version(),
            scheme: uri.scheme().cloned(),
            authority: authority.len() as u32,
            target: target.len() as u32,
            kept,
            extensions: request.extensions().clone(),
        }
    }

    /// The request once more, with this body.
    pub(super) fn request<B>(&self, body: B) -> Request<B> {
        let mut rest = self.kept.texts.as_slice();
        let mut next = |length: u32| {
            let (text, after) = rest.split_at_checked(length as usize).unwrap_or_default();
            rest = after;
            text
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.version_mut() = self.version;
        // Each text was a valid one of its kind when it was written down.
        let mut uri = http::uri::Parts::default();
        uri.scheme = self.scheme.clone();
        uri.authority = Authority::try_from(next(self.authority)).ok();
        uri.path_and_query = PathAndQuery::try_from(next(self.target)).ok();
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        *request.extensions_mut() = self.extensions.clone();
        let headers = request.headers_mut();
        for line in &self.kept.lines {
            let name = HeaderName::from_bytes(next(line.name));
            let value = HeaderValue::from_bytes(next(line.value));
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(line.sensitive);
                // They stood in one map before, so there is room.
                let _ = headers.try_append(name, value);
            }
        }
        request
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        let mut kept = std::mem::take(&mut self.kept);
        if kept.texts.capacity() > LONGEST || kept.lines.capacity() > MOST_LINES {
            return;
        }
        kept.texts.clear();
        kept.lines.clear();
        let _ = BUFFERS.try_with(|buffers| {
            let mut buffers = buffers.borrow_mut();
            if buffers.len() < KEPT {
                buffers.push(kept);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{BUFFERS, Head};

    #[test]
    fn a_request_comes_back_as_it_was() {
        let request = Request::put("http://a.example/x?y")
            .header("b", "1")
            .header("a", "2")
            .header("b", "3")
            .header("empty", "")
            .header("x-bytes", b"\xff\x80".as_slice())
            .body(());
        let mut request = request.expect("valid");
        let mut secret = http::HeaderValue::from_static("Basic eA==");
        secret.set_sensitive(true);
        request.headers_mut().insert("authorization", secret);
        request.extensions_mut().insert("noted by the application");
        for _ in 0..3 {
            let head = Head::of(&request);
            let again = head.request(());
            assert!(head.has("x-bytes") && head.has("empty") && !head.has("x"));
            assert_eq!(again.headers(), request.headers());
            let noted = again.extensions().get::<&str>();
            assert_eq!(noted, Some(&"noted by the application"));
            assert!(again.headers()["authorization"].is_sensitive());
            assert!(!again.headers()["a"].is_sensitive());
            let basic = format!("{:?}", "Basic".as_bytes());
            let basic = basic.trim_matches(['[', ']']);
            assert!(!format!("{head:?}").contains(basic));
            assert_eq!(
                (again.method(), again.uri()),
                (request.method(), request.uri())
            );
        }
        assert_eq!(BUFFERS.with_borrow(Vec::len), 1);
    }

    #[test]
    fn every_form_of_target_comes_back() {
        for target in [
            "/x?y",
            "http://a.example",
            "https://a:1/x?",
            "a.example:80",
            "*",
        ] {
            let uri: http::Uri = target.parse().expect("valid");
            let mut request = Request::new(());
            *request.uri_mut() = uri.clone();
            assert_eq!(Head::of(&request).request(()).uri(), &uri, "{target}");
        }
    }

    #[test]
    fn few_buffers_are_kept_and_no_long_ones() {
        let request = |lines: usize| {
            let mut request = Request::new(());
            for n in 0..lines {
                let name = format!("x-{n}").parse::<http::HeaderName>().expect("valid");
                request.headers_mut().insert(name, n.into());
            }
            request
        };
        drop(Head::of(&request(1000)));
        assert_eq!(BUFFERS.with_borrow(Vec::len), 0);
        let heads: Vec<_> = (0..100).map(|_| Head::of(&request(3))).collect();
        drop(heads);
        assert_eq!(BUFFERS.with_borrow(Vec::len), 64);
    }
}
