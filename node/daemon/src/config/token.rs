//! Money as people write it: decimals in, base units out, never through floating point.
//!
//! Sans-IO.

use serde::{Deserialize, Serialize};
use warren_proto::Amount;

/// How a token is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Such as `WRN`.
    pub symbol: String,
    /// Digits after the point; base units are 10^-decimals. At most 28, so that 1 token fits an amount.
    pub decimals: u8,
}

/// The most decimals a token may have.
pub const MAX_DECIMALS: u8 = 28;

/// Why a text is not a sum of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseMoneyError {
    /// Not a decimal number.
    #[error("`{text}` is not a sum: write digits with at most one point, such as 0.002")]
    NotDecimal {
        /// The text, cut to 40 characters.
        text: String,
    },
    /// Finer than the token's base unit.
    #[error("`{text}` has more than the {decimals} decimals of the token")]
    TooFine {
        /// The text, cut to 40 characters.
        text: String,
        /// The token's.
        decimals: u8,
    },
    /// More than a channel can hold.
    #[error("`{text}` is more than a channel can hold")]
    TooMuch {
        /// The text, cut to 40 characters.
        text: String,
    },
}

impl Token {
    /// Reads a decimal sum in units of this token.
    ///
    /// # Errors
    /// [`ParseMoneyError`]; a sum finer than the base unit is refused, never rounded.
    pub fn parse(&self, text: &str) -> Result<Amount, ParseMoneyError> {
        let shown = || text.chars().take(40).collect::<String>();
        let not_decimal = || ParseMoneyError::NotDecimal { text: shown() };
        let too_much = || ParseMoneyError::TooMuch { text: shown() };
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let all_digits = |it: &str| it.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
            return Err(not_decimal());
        }
        let part = part.trim_end_matches('0');
        let missing = usize::from(self.decimals)
            .checked_sub(part.len())
            .ok_or_else(|| ParseMoneyError::TooFine {
                text: shown(),
                decimals: self.decimals,
            })?;
        let digits = format!("{whole}{part}{}", "0".repeat(missing));
        digits.parse().map_err(|_| too_much())
    }

    /// Writes a sum in units of this token: exact, no trailing zeros.
    #[must_use]
    pub fn format(&self, amount: Amount) -> String {
        let decimals = usize::from(self.decimals);
        let digits = format!(
            "{:0>width$}",
            amount.wei().to_string(),
            width = decimals + 1
        );
        let (whole, part) = digits.split_at(digits.len() - decimals);
        let part = part.trim_end_matches('0');
        if part.is_empty() {
            whole.to_owned()
        } else {
            format!("{whole}.{part}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(decimals: u8) -> Token {
        Token {
            symbol: "WRN".to_owned(),
            decimals,
        }
    }

    #[test]
    fn a_sum_is_read_to_the_last_base_unit() {
        let read = |text| token(18).parse(text).map(Amount::wei);
        assert_eq!(read("0.002"), Ok(2_000_000_000_000_000));
        assert_eq!(read("1"), Ok(1_000_000_000_000_000_000));
        assert_eq!(read("0.0000000000000000010"), Ok(1));
        assert_eq!(read("5."), Ok(5_000_000_000_000_000_000));
    }

    #[test]
    fn what_is_no_sum_is_refused_not_guessed() {
        for text in ["", ".", ".5", "-1", "1e3", "1,5", "1.2.3", "0x10", "١"] {
            assert!(
                matches!(
                    token(18).parse(text),
                    Err(ParseMoneyError::NotDecimal { .. })
                ),
                "{text}"
            );
        }
        assert!(matches!(
            token(2).parse("0.001"),
            Err(ParseMoneyError::TooFine { .. })
        ));
        assert!(matches!(
            token(18).parse("79228162515"),
            Err(ParseMoneyError::TooMuch { .. })
        ));
    }

    proptest! {
        #[test]
        fn writing_and_reading_agree(wei in 0..(1_u128 << 96), decimals in 0..=MAX_DECIMALS) {
            let amount = Amount::from_wei(wei).unwrap();
            let text = token(decimals).format(amount);
            prop_assert_eq!(token(decimals).parse(&text), Ok(amount));
        }
    }
}
