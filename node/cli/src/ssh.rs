//! Whether this program is run in a login by SSH.

use std::fs;

use warren_daemon::api::types::SshLogin;

/// Processes between this one and the login's shell.
const MOST_PARENTS: usize = 32;

/// The login that this program was started in. `None` if it was none, or nobody can tell: `sudo` and `su` hide it
/// from their children, and not from root.
#[must_use]
pub fn login() -> Option<SshLogin> {
    let own = std::env::var("SSH_CONNECTION").ok();
    own.as_deref().and_then(parse).or_else(of_parents)
}

fn of_parents() -> Option<SshLogin> {
    let mut process = "self".to_owned();
    for _ in 0..MOST_PARENTS {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let parent = status.lines().find_map(|it| it.strip_prefix("PPid:"))?;
        process = parent.trim().to_owned();
        let environment = fs::read(format!("/proc/{process}/environ")).ok()?;
        let variables = environment.split(|it| *it == 0);
        let mut said = variables.filter_map(|it| std::str::from_utf8(it).ok());
        if let Some(it) = said.find_map(|it| it.strip_prefix("SSH_CONNECTION=")) {
            return parse(it);
        }
    }
    None
}

/// Client address, client port, server address, server port (ssh(1), "Environment").
fn parse(text: &str) -> Option<SshLogin> {
    let mut words = text.split(' ');
    let client = words.next()?;
    // A link-local client has its device behind it.
    let client = client.split('%').next()?.parse().ok()?;
    let port = words.nth(2)?.parse().ok()?;
    Some(SshLogin { client, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read() {
        let login = |client: &str, port| {
            let client = client.parse().unwrap();
            Some(SshLogin { client, port })
        };
        let said = "198.51.100.9 50312 192.0.2.2 22";
        assert_eq!(parse(said), login("198.51.100.9", 22));
        assert_eq!(
            parse("fe80::9%eth0 5 fe80::1%eth0 2222"),
            login("fe80::9", 2222)
        );
        for text in [
            "",
            "198.51.100.9",
            "somewhere 1 here 22",
            "198.51.100.9 1 2",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
