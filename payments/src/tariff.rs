//! The tariff: from what two meters say to how many units are due.
//!
//! Sans-IO. Totals only: pricing an increment would round up once per increment.

use std::time::Duration;

use warren_proto::{Amount, AmountOverflow, ByteCount, PayErrorCode, Price};

// Our choice: headers of lost packets and packets in flight explain this much, not more.
const TOLERANCE_PERCENT: u64 = 2;
const TOLERANCE_FLOOR: u64 = 64 * 1024;

/// The price of a session and the worth of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tariff {
    /// Money per MiB and minute.
    pub price: Price,
    /// Worth of one word.
    pub unit_price: Amount,
}

impl Tariff {
    /// Whether nothing is ever due.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.price == Price::default()
    }

    /// The units due for the whole session so far, rounded up; 0 in a free session.
    ///
    /// # Errors
    /// [`AmountOverflow`] if the money leaves its range, or a priced session has no unit.
    ///
    /// # Examples
    /// ```
    /// # use warren_payments::tariff::Tariff;
    /// # use warren_proto::{Amount, ByteCount, Price};
    /// # use std::time::Duration;
    /// let per_mib = Amount::from_wei_u64(10);
    /// let price = Price { per_mib, per_minute: Amount::ZERO };
    /// let tariff = Tariff { price, unit_price: Amount::from_wei_u64(5) };
    /// assert_eq!(tariff.due_units(ByteCount::from_mib(3), Duration::ZERO), Ok(6));
    /// assert_eq!(tariff.due_units(ByteCount::from_bytes(1), Duration::ZERO), Ok(1));
    /// ```
    pub fn due_units(&self, used: ByteCount, served: Duration) -> Result<u64, AmountOverflow> {
        if self.is_free() {
            return Ok(0);
        }
        let due = self.price.due(used, served)?;
        let unit = self.unit_price.wei();
        if unit == 0 {
            return Err(AmountOverflow);
        }
        u64::try_from(due.wei().div_ceil(unit)).map_err(|_| AmountOverflow)
    }
}

/// Says whether two meters of the same session agree well enough to go on.
///
/// # Errors
/// `MeterMismatch` if `theirs` exceeds `mine` by more than 2 % and 64 KiB.
pub fn meters_agree(mine: ByteCount, theirs: ByteCount) -> Result<(), PayErrorCode> {
    let slack = (mine.bytes() / 100)
        .saturating_mul(TOLERANCE_PERCENT)
        .max(TOLERANCE_FLOOR);
    if theirs.bytes() <= mine.bytes().saturating_add(slack) {
        Ok(())
    } else {
        Err(PayErrorCode::MeterMismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wei(amount: u64) -> Amount {
        Amount::from_wei_u64(amount)
    }

    #[test]
    fn bytes_and_minutes_fold_into_one_unit() {
        let price = Price {
            per_mib: wei(10),
            per_minute: wei(4),
        };
        let tariff = Tariff {
            price,
            unit_price: wei(5),
        };
        // 10 + 2 = 12 wei: two units and a part.
        let due = tariff.due_units(ByteCount::from_mib(1), Duration::from_secs(30));
        assert_eq!(due, Ok(3));
    }

    #[test]
    fn a_free_session_needs_no_unit_and_a_priced_one_does() {
        let free = Tariff {
            price: Price::default(),
            unit_price: Amount::ZERO,
        };
        assert_eq!(
            free.due_units(ByteCount::from_mib(9), Duration::from_secs(9)),
            Ok(0)
        );
        let price = Price {
            per_mib: wei(1),
            per_minute: Amount::ZERO,
        };
        let broken = Tariff {
            price,
            unit_price: Amount::ZERO,
        };
        assert!(
            broken
                .due_units(ByteCount::from_mib(1), Duration::ZERO)
                .is_err()
        );
    }

    #[test]
    fn small_differences_between_meters_are_forgiven() {
        let mib = ByteCount::from_mib;
        assert_eq!(
            meters_agree(ByteCount::from_bytes(0), ByteCount::from_bytes(65_536)),
            Ok(())
        );
        assert!(meters_agree(ByteCount::from_bytes(0), ByteCount::from_bytes(65_537)).is_err());
        assert_eq!(meters_agree(mib(100), mib(102)), Ok(()));
        assert!(meters_agree(mib(100), mib(103)).is_err());
        assert_eq!(
            meters_agree(mib(100), mib(1)),
            Ok(()),
            "paying for more than asked is no harm"
        );
    }

    proptest! {
        #[test]
        fn more_use_never_costs_less(
            bytes in 0..u64::MAX / 2, more in 0..1_u64 << 40, secs in 0..1_u64 << 24,
        ) {
            let price = Price { per_mib: wei(7), per_minute: wei(3) };
            let tariff = Tariff { price, unit_price: wei(5) };
            let served = Duration::from_secs(secs);
            let less = tariff.due_units(ByteCount::from_bytes(bytes), served).unwrap();
            let used = ByteCount::from_bytes(bytes + more);
            prop_assert!(tariff.due_units(used, served).unwrap() >= less);
        }
    }
}
