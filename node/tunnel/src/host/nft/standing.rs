//! Whether a firewall table of ours still stands as it was made.
//!
//! Others change the firewall too: `nft flush ruleset`, or a firewall service that starts anew, takes
//! our table with it and says nothing. The kernel counts its rulesets: as long as that number is the one
//! at which the table was last found whole, a look costs one question and no program.

use std::io;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt::ReceiveTimeout,
};
use nix::sys::time::TimeVal;
use serde_json::Value;

use super::list;

// Specification (linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h).
const NLM_F_REQUEST: u16 = 1;
const SUBSYSTEM: u16 = 10 << 8;
const NEWGEN: u16 = SUBSYSTEM | 15;
const GETGEN: u16 = SUBSYSTEM | 16;
const GEN_ID: u16 = 1;
/// A netlink header, then the header of the netfilter family.
const HEADERS: usize = 16 + 4;
/// A question is its headers alone.
const QUESTION_BYTES: u32 = 20;

// Our choice.
/// The kernel answers before the question returns; this only bounds a kernel that does not.
const PATIENCE_SECS: i64 = 1;
/// Looks for a moment in which nobody changes the firewall while it is read.
const TRIES: usize = 4;

/// What is known of a table of ours.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// How it read when it was made.
    made: Option<Value>,
    /// The ruleset's number when it last read so.
    at: Option<u32>,
}

impl Standing {
    /// Remembers the table as it reads now, just made or changed by ourselves.
    pub(crate) async fn made(&mut self, table: &str) {
        (self.made, self.at) = match read(table).await {
            Some((now, at)) => (Some(now), at),
            None => (None, None),
        };
    }

    /// Whether the table is there and reads as when it was made. What cannot be read does not stand.
    pub(crate) async fn stands(&mut self, table: &str) -> bool {
        if self.at.is_some() && self.at == generation().ok() {
            return true;
        }
        let Some((now, at)) = read(table).await else {
            self.at = None;
            return false;
        };
        let same = self.made.as_ref() == Some(&now);
        self.at = at.filter(|_| same);
        same
    }
}

/// Reads the table and the number of the ruleset it was read from; without the number if the kernel does not
/// tell it, or it never stood still. `None` if there is no table.
async fn read(table: &str) -> Option<(Value, Option<u32>)> {
    let mut at = generation().ok();
    for _ in 0..TRIES {
        let mut now = list(&["table", "inet", table]).await.ok()?;
        plain(&mut now);
        let then = generation().ok();
        if then == at {
            return Some((now, at));
        }
        at = then;
    }
    let mut now = list(&["table", "inet", table]).await.ok()?;
    plain(&mut now);
    Some((now, None))
}

/// Leaves out what moves by itself: handles, counts, what the kernel put into sets it fills.
fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(fields) => {
            for name in ["handle", "packets", "bytes", "metainfo"] {
                fields.remove(name);
            }
            // Sets of networks and of endpoints are ours; the others are filled by packets.
            let networks = fields.get("flags").map(Value::to_string);
            let networks = networks.is_some_and(|it| it.contains("interval"));
            if !networks && !fields.get("type").is_some_and(Value::is_array) {
                fields.remove("elem");
            }
            if let Some(Value::Array(elements)) = fields.get_mut("elem") {
                elements.sort_by_key(Value::to_string);
            }
            fields.values_mut().for_each(plain);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Asks the kernel for the number of its ruleset, in the calling thread's network namespace.
pub(crate) fn generation() -> io::Result<u32> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::new(PATIENCE_SECS, 0))?;
    let mut question = Vec::with_capacity(HEADERS);
    question.extend(QUESTION_BYTES.to_ne_bytes());
    question.extend(GETGEN.to_ne_bytes());
    question.extend(NLM_F_REQUEST.to_ne_bytes());
    question.extend([0; 12]); // Number and port; family, version, resource: of no meaning here.
    send(socket.as_raw_fd(), &question, MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "no ruleset number");
    number(answer.get(..length).unwrap_or_default()).ok_or_else(unknown)
}

/// Reads the ruleset's number out of the kernel's answer.
fn number(answer: &[u8]) -> Option<u32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    if kind != NEWGEN {
        return None;
    }
    let mut rest = answer.get(HEADERS..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let name = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        if name == GEN_ID {
            return Some(u32::from_be_bytes(value.try_into().ok()?));
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_by_itself_is_left_out_and_the_rest_is_not() {
        let listing = |packets: u32, handle: u32, dynamic: &str, denied: &str| {
            let mut value = serde_json::json!({"nftables": [
                {"metainfo": {"version": "1"}},
                {"counter": {"name": "denied_port", "handle": handle, "packets": packets, "bytes": packets}},
                {"set": {"name": "flows4", "type": "ipv4_addr", "elem": [dynamic]}},
                {"set": {"name": "deny4", "type": "ipv4_addr", "flags": ["interval"], "elem": ["10.0.0.0/8", denied]}},
                {"rule": {"handle": handle, "expr": [{"counter": "denied_port"}, {"drop": null}]}},
            ]});
            plain(&mut value);
            value
        };
        let made = listing(0, 1, "10.77.0.2", "192.168.0.0/16");
        assert_eq!(listing(9, 7, "10.77.0.3", "192.168.0.0/16"), made);
        assert_ne!(listing(0, 1, "10.77.0.2", "192.168.1.0/24"), made);
    }

    #[test]
    fn only_an_answer_to_the_question_has_a_number() {
        let mut answer = Vec::new();
        answer.extend(28_u32.to_ne_bytes());
        answer.extend(NEWGEN.to_ne_bytes());
        answer.extend([0; 14]);
        answer.extend([8_u16.to_ne_bytes(), GEN_ID.to_ne_bytes()].concat());
        answer.extend(77_u32.to_be_bytes());
        assert_eq!(number(&answer), Some(77));
        for length in 0..answer.len() {
            assert_eq!(number(&answer[..length]), None, "cut at {length}");
        }
        answer[4] = 2; // An error.
        assert_eq!(number(&answer), None);
        // An attribute of no length does not keep the reader for ever.
        let mut endless = answer.clone();
        endless[4] = NEWGEN.to_ne_bytes()[0];
        endless[20] = 0;
        assert_eq!(number(&endless), None);
    }
}
