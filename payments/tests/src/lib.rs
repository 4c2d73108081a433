//! Tests of payments that ask its library and compute little themselves: channels at work, and the chain's side on real parts.
//!
//! Nothing is in this library; each folder beside it is a test program. Those that compute for minutes are in `sim`, a test of
//! `warren-payments`.
