//! For whom there is a place, and when it is free again.

use tokio::sync::oneshot::error::TryRecvError;

use super::*;

fn payment(number: usize) -> PaymentId {
    PaymentId::from_bytes([u8::try_from(number).expect("few"); 16])
}

#[test]
fn one_more_than_there_are_places_hears_at_once_that_nobody_will_tell() {
    let mut asked = Asked::default();
    let mut waiting: Vec<_> = (0..MAX_ASKED).map(|it| asked.wait(payment(it))).collect();
    let late = asked.wait(payment(MAX_ASKED)).try_recv();
    assert_eq!(late, Err(TryRecvError::Closed));
    for it in &mut waiting {
        assert_eq!(it.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn a_lock_that_is_good_gives_its_place_back() {
    let mut asked = Asked::default();
    for it in 0..=MAX_ASKED {
        let mut told = asked.wait(payment(it));
        assert_eq!(told.try_recv(), Err(TryRecvError::Empty), "{it}");
        drop(asked.remove(&payment(it)));
        assert_eq!(told.try_recv(), Err(TryRecvError::Closed), "{it}");
    }
    let mut told = asked.wait(payment(0));
    let tell = asked.remove(&payment(0)).expect("it waits");
    tell.send(PayErrorCode::Busy).expect("it is heard");
    assert_eq!(told.try_recv(), Ok(PayErrorCode::Busy));
}
