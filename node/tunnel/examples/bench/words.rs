//! The words between consumer and exit: a hash chain for each guest, one word for each MiB.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use warren_proto::{ByteCount, Preimage};

use crate::known;

/// How often the daemon looks at its meters.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// Bytes one word pays (the daemon's default: the price of a MiB).
pub(crate) const UNIT: u64 = 1 << 20;
/// Words in a chain: 128 GiB, more than any measurement moves.
const WORDS: u32 = 1 << 17;
/// Words between two that are remembered.
const STRIDE: u32 = 256;

/// A guest's chain on the consumer's side; most words are computed when they are released.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Every [`STRIDE`]th word, the anchor (word 0) first.
    kept: Vec<Preimage>,
}

impl Chain {
    pub(crate) fn of(guest: u16) -> Self {
        let mut word = Preimage::from_bytes(known::seed("words", guest));
        let mut kept = vec![word.clone()];
        for _ in 0..WORDS / STRIDE {
            word = word.advance(STRIDE);
            kept.push(word.clone());
        }
        kept.reverse();
        Self { kept }
    }

    /// The word that pays `units`: word k hashes k times to the anchor.
    pub(crate) fn word(&self, units: u32) -> Preimage {
        let above = units.div_ceil(STRIDE);
        self.kept[above as usize].advance(above * STRIDE - units)
    }
}

/// One word on its way.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) guest: u16,
    pub(crate) units: u32,
    /// When it was sent, since 1970: for the delay that the exit adds.
    at: Duration,
    pub(crate) word: Preimage,
}

const FRAME_LEN: usize = 54;

impl Frame {
    pub(crate) fn new(guest: u16, units: u32, word: Preimage) -> Self {
        Self {
            guest,
            units,
            at: since_1970(),
            word,
        }
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = [0; FRAME_LEN];
        bytes[..2].copy_from_slice(&self.guest.to_le_bytes());
        bytes[2..6].copy_from_slice(&self.units.to_le_bytes());
        bytes[6..22].copy_from_slice(&self.at.as_nanos().to_le_bytes());
        bytes[22..].copy_from_slice(self.word.expose());
        to.write_all(&bytes)
    }

    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; FRAME_LEN];
        from.read_exact(&mut bytes)?;
        let nanos = u128::from_le_bytes(bytes[6..22].try_into().unwrap());
        Ok(Self {
            guest: u16::from_le_bytes([bytes[0], bytes[1]]),
            units: u32::from_le_bytes(bytes[2..6].try_into().unwrap()),
            at: Duration::from_nanos(nanos as u64),
            word: Preimage::from_bytes(bytes[22..].try_into().unwrap()),
        })
    }

    /// Waits until the word is as old as a far consumer's would be.
    pub(crate) fn wait_for(&self, delay: Duration) {
        std::thread::sleep((self.at + delay).saturating_sub(since_1970()));
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// What a guest has paid, on the exit's side.
#[derive(Debug)]
pub(crate) struct Purse {
    last: Preimage,
    units: u32,
    file: File,
}

impl Purse {
    pub(crate) fn new(guest: u16, file: File) -> Self {
        Self {
            last: Chain::of(guest).word(0),
            units: 0,
            file,
        }
    }

    /// Verifies a word and saves it; only then it counts. The bytes paid for, in all.
    pub(crate) fn take(&mut self, frame: &Frame) -> ByteCount {
        let steps = frame.units.checked_sub(self.units).expect("words grow");
        assert!(
            frame.word.advance(steps) == self.last,
            "a word of this chain"
        );
        frame.write(&mut self.file).unwrap();
        self.file.sync_data().unwrap();
        (self.last, self.units) = (frame.word.clone(), frame.units);
        ByteCount::from_bytes(u64::from(self.units) * UNIT)
    }
}
