//! What people may know of the endpoints that a chain is asked through; no secret of an address.

use std::time::Duration;

/// Blocks that one endpoint may be behind another without anybody's minding; our choice.
const MAX_LAG: u64 = 8;

/// The endpoints of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// How many must agree before money counts.
    pub must_agree: usize,
    /// The newest block they agreed on; `None` before the first.
    pub agreed: Option<u64>,
    /// Each, in the order in which they were given.
    pub each: Vec<Endpoint>,
}

impl Endpoints {
    /// Whether fewer endpoints than must agree keep what they agree on below what others tell of: where two must
    /// agree and two answer, one that stands still hides what is new, and is no liar.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        let Some(least) = self.agreed.map(|it| it.saturating_add(MAX_LAG)) else {
            return false;
        };
        let up = self.each.iter().filter(|it| it.state == EndpointState::Up);
        let (ahead, behind): (Vec<u64>, Vec<u64>) =
            up.filter_map(|it| it.head).partition(|it| *it > least);
        !ahead.is_empty() && behind.len() < self.must_agree
    }

    /// How many answer, as the pinned chain.
    #[must_use]
    pub fn up(&self) -> usize {
        let is_up = |it: &&Endpoint| it.state == EndpointState::Up;
        self.each.iter().filter(is_up).count()
    }
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address without what may be a secret: see [`shown_url`].
    pub name: String,
    /// Whether it can be asked.
    pub state: EndpointState,
    /// The usual time of an answer; `None` before the first.
    pub latency: Option<Duration>,
    /// The newest block it told of; `None` before the first.
    pub head: Option<u64>,
    /// Blocks behind the highest that any endpoint told of; `None` before the first.
    pub lag: Option<u64>,
    /// Questions put to it since the start.
    pub asked: u64,
    /// Of those, without an answer.
    pub errors: u64,
    /// Answers that enough others contradicted.
    pub overruled: u64,
    /// Whether it failed so lately that it is left alone while others suffice.
    pub resting: bool,
    /// Its last error, until it answers again.
    pub trouble: Option<String>,
}

/// Whether an endpoint can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Nobody asked it yet.
    Unasked,
    /// It answers, and is on the pinned chain.
    Up,
    /// It gave no answer to the last question.
    Down,
    /// It is on another chain, or has other code or another token there.
    Wrong,
}

/// The part of an address that may be shown: scheme, host and port.
///
/// Names, passwords, paths and queries are where providers of endpoints put their keys.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "an address without a scheme".to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, more) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let scheme: String = scheme.chars().take(8).collect();
    let dots = if more.trim_matches('/').is_empty() {
        ""
    } else {
        "/…"
    };
    format!("{scheme}://{host}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(heads: &[u64], agreed: u64) -> Endpoints {
        let each = heads.iter().map(|head| Endpoint {
            name: String::new(),
            state: EndpointState::Up,
            latency: None,
            head: Some(*head),
            lag: None,
            asked: 1,
            errors: 0,
            overruled: 0,
            resting: false,
            trouble: None,
        });
        Endpoints {
            must_agree: 2,
            agreed: Some(agreed),
            each: each.collect(),
        }
    }

    #[test]
    fn one_of_two_holds_the_other_back_and_two_of_three_do_not() {
        assert!(at(&[109, 100], 100).holds_back());
        assert!(!at(&[108, 100], 100).holds_back());
        assert!(!at(&[100, 100], 100).holds_back());
        assert!(!at(&[1_000_000, 100, 100], 100).holds_back());
    }

    #[test]
    fn nothing_that_may_be_a_key_is_shown() {
        for (url, shown) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
            (
                "https://u:secret@rpc.example/v3/secret",
                "https://rpc.example/…",
            ),
            ("https://rpc.example?key=secret", "https://rpc.example/…"),
            (
                "https://se@cret@rpc.example#secret",
                "https://rpc.example/…",
            ),
            ("http://[::1]:8545/x", "http://[::1]:8545/…"),
            ("secret", "an address without a scheme"),
        ] {
            assert_eq!(shown_url(url), shown);
            assert!(!shown_url(url).contains("secret"), "{url}");
        }
    }
}
