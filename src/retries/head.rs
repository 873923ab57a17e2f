//! A request's head, kept to send it again.

use std::cell::RefCell;

use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};

use crate::context::Connection;

/// The head of a request; of its extensions only the connection, the rest stays with the first try.
///
/// The headers are kept as a list: cheaper to make than a map, and most requests need no second
/// try. Lists are used again on the thread that drops them.
#[derive(Debug)]
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: List,
    connection: Option<Connection>,
}

type List = Vec<(HeaderName, HeaderValue)>;

/// How many lists a thread keeps, and how long one may be to be kept.
const KEPT: usize = 64;
const LONGEST: usize = 64;

thread_local! {
    static LISTS: RefCell<Vec<List>> = const { RefCell::new(Vec::new()) };
}

impl Head {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        // A thread that is ending has no lists any more.
        let list = LISTS.try_with(|lists| lists.borrow_mut().pop());
        let mut headers = list.ok().flatten().unwrap_or_default();
        headers.reserve(request.headers().len());
        for (name, value) in request.headers() {
            headers.push((name.clone(), value.clone()));
        }
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers,
            connection: request.extensions().get().copied(),
        }
    }

    /// The request once more, with this body.
    pub(super) fn request<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        if let Some(connection) = self.connection {
            request.extensions_mut().insert(connection);
        }
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            // They stood in one map before, so there is room.
            let _ = headers.try_append(name.clone(), value.clone());
        }
        request
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        let mut list = std::mem::take(&mut self.headers);
        list.clear();
        if list.capacity() <= LONGEST {
            let _ = LISTS.try_with(|lists| {
                let mut lists = lists.borrow_mut();
                if lists.len() < KEPT {
                    lists.push(list);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{Head, LISTS};

    #[test]
    fn a_request_comes_back_as_it_was() {
        let request = Request::put("http://a.example/x?y")
            .header("b", "1")
            .header("a", "2")
            .header("b", "3")
            .body(());
        let request = request.expect("valid");
        for _ in 0..3 {
            let head = Head::of(&request);
            let again = head.request(());
            assert_eq!(again.headers(), request.headers());
            assert_eq!(
                (again.method(), again.uri()),
                (request.method(), request.uri())
            );
        }
        assert_eq!(LISTS.with_borrow(Vec::len), 1);
    }

    #[test]
    fn few_lists_are_kept_and_no_long_ones() {
        let request = |lines: usize| {
            let mut request = Request::new(());
            for n in 0..lines {
                let name = format!("x-{n}").parse::<http::HeaderName>().expect("valid");
                request.headers_mut().insert(name, n.into());
            }
            request
        };
        drop(Head::of(&request(1000)));
        assert_eq!(LISTS.with_borrow(Vec::len), 0);
        let heads: Vec<_> = (0..100).map(|_| Head::of(&request(3))).collect();
        drop(heads);
        assert_eq!(LISTS.with_borrow(Vec::len), 64);
    }
}
