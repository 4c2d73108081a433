//! A receipt as a text file: a first line that says what it is, then its bytes in hex.
//!
//! Sans-IO.

use warren_proto::{MAX_RECEIPT_BYTES, Receipt};

use crate::error::{ErrorCode, Problem};

const FIRST_LINE: &str = "warren-receipt/1";
/// Hex digits in a line.
const LINE: usize = 64;
/// The longest text that is read: the longest receipt in hex, with room for line ends.
const MAX_TEXT: usize = 3 * MAX_RECEIPT_BYTES;

/// Writes a receipt down.
#[must_use]
pub fn to_text(receipt: &Receipt) -> String {
    let digits = hex::encode(receipt.encode());
    let mut text = String::from(FIRST_LINE);
    for (place, digit) in digits.chars().enumerate() {
        if place % LINE == 0 {
            text.push('\n');
        }
        text.push(digit);
    }
    text.push('\n');
    text
}

/// Reads [`to_text`]; white space does not matter.
///
/// # Errors
/// A [`Problem`] that says what is no receipt about it.
pub fn from_text(text: &str) -> Result<Receipt, Problem> {
    let bad = |seen: String| Problem::new(ErrorCode::ReceiptUnreadable, seen);
    if text.len() > MAX_TEXT {
        return Err(bad(format!(
            "{} bytes; the limit is {MAX_TEXT}",
            text.len()
        )));
    }
    let rest = text
        .trim_start()
        .strip_prefix(FIRST_LINE)
        .ok_or_else(|| bad(format!("its first line is not `{FIRST_LINE}`")))?;
    let digits: String = rest.split_whitespace().collect();
    let bytes = hex::decode(&digits).map_err(|error| bad(error.to_string()))?;
    Receipt::decode(&bytes).map_err(|error| bad(error.to_string()))
}
