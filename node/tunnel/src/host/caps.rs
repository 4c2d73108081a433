//! What this process may do, and how its child `nft` may do it too.
//!
//! A program with file capabilities holds them only for itself: a child gets none unless they are
//! *ambient*. [`raise_ambient`] makes `CAP_NET_ADMIN` so, for a daemon that is not root.

use std::fmt;
use std::io;

/// A capability this crate needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Devices, routes, firewall, marks.
    NetAdmin,
    /// The control threads' own user id.
    SetUid,
}

impl Capability {
    /// Its number in `linux/capability.h`.
    fn bit(self) -> u8 {
        match self {
            Self::NetAdmin => 12,
            Self::SetUid => 7,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::SetUid => "CAP_SETUID",
        })
    }
}

/// Returns which of the needed capabilities the calling thread has in force.
///
/// # Errors
/// If `/proc` is not there.
pub fn held_capabilities() -> io::Result<Vec<Capability>> {
    let effective = mask("CapEff:")?;
    let held = |it: &Capability| effective & (1 << it.bit()) != 0;
    Ok([Capability::NetAdmin, Capability::SetUid]
        .into_iter()
        .filter(held)
        .collect())
}

/// Passes `capability` on to children of the calling thread and of threads it spawns later; call
/// it before there are others. `Ok(false)`: not held, so there is nothing to pass on.
///
/// # Errors
/// As the kernel gave, for instance under `no_new_privs` bounding.
pub fn raise_ambient(capability: Capability) -> io::Result<bool> {
    let bit = 1_u64 << capability.bit();
    if mask("CapPrm:")? & bit == 0 {
        return Ok(false);
    }
    if mask("CapAmb:")? & bit != 0 {
        return Ok(true);
    }
    let sets = Sets {
        effective: mask("CapEff:")?,
        permitted: mask("CapPrm:")?,
        inheritable: mask("CapInh:")? | bit,
    };
    set_capabilities(&sets)?;
    raise(capability)?;
    Ok(true)
}

struct Sets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

/// Whether a process has `capability` in force; no if that cannot be read.
pub(crate) fn has(pid: libc::pid_t, capability: Capability) -> bool {
    let effective = mask_of(&pid.to_string(), "CapEff:");
    effective.is_ok_and(|it| it & (1 << capability.bit()) != 0)
}

/// Reads one line of masks of the calling thread.
fn mask(name: &str) -> io::Result<u64> {
    mask_of("thread-self", name)
}

fn mask_of(whose: &str, name: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{whose}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    value.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no capability mask"))
}

#[expect(unsafe_code, reason = "the C library has no wrapper for capset")]
fn set_capabilities(sets: &Sets) -> io::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`: two 32-bit words a set.
    const VERSION_3: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let word = |set: u64, shift: u32| u32::try_from((set >> shift) & 0xffff_ffff).unwrap_or(0);
    let data: [[u32; 3]; 2] = [0, 32].map(|shift| {
        [
            word(sets.effective, shift),
            word(sets.permitted, shift),
            word(sets.inheritable, shift),
        ]
    });
    // SAFETY: header and data have the layout of version 3 and outlive the call, which reads them.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const data) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[expect(unsafe_code, reason = "prctl is only reachable by a raw call")]
fn raise(capability: Capability) -> io::Result<()> {
    let bit = libc::c_ulong::from(capability.bit());
    let raise = libc::c_long::from(libc::PR_CAP_AMBIENT_RAISE);
    // SAFETY: PR_CAP_AMBIENT takes integers only and changes nothing but the thread's own set.
    let answer = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, bit, 0, 0) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
