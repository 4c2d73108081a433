//! Cutting and merging super-packets, held to a model of plain loops; the fuzzer holds them to the same.

#[path = "plane_offload/model.rs"]
mod model;

use proptest::prelude::*;

/// Packets of one flow, `size` as an entry of the model's list.
fn list(flow: u8, size: u8, count: usize) -> Vec<u8> {
    [flow, size, 0, 0, 0, 0].repeat(count)
}

#[test]
fn every_kind_of_flow_is_merged() {
    for flow in 0..6 {
        let (packets, writes) = model::flows(&list(flow, 6, 100));
        assert_eq!(packets, 100);
        assert!(writes <= 2, "flow {flow}: {writes} writes");
    }
}

/// A last packet of another size, and sizes that are odd.
#[test]
fn a_shorter_last_packet_ends_its_group() {
    for flow in 0..6 {
        let mut odd = list(flow, 6, 10);
        odd.extend([flow, 1, 0, 0, 0, 0]);
        assert_eq!(model::flows(&odd), (11, 1));
        odd.extend(list(flow, 6, 10));
        assert_eq!(model::flows(&odd), (21, 2));
    }
}

/// Every oddity at every place of a flow.
#[test]
fn one_odd_packet_among_others_is_no_trouble() {
    for flow in 0..6 {
        for odd in 0..32 {
            for flags in 0..8 {
                for at in 0..5 {
                    let mut bytes = list(flow, 3, 5);
                    bytes[at * 6 + 3] = flags;
                    bytes[at * 6 + 4] = odd;
                    model::flows(&bytes);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn cutting_undoes_merging(
        each in proptest::collection::vec((0_u8..6, any::<[u8; 5]>(), 0_usize..12), 0..40),
    ) {
        let mut bytes = Vec::new();
        for (flow, mut said, times) in each {
            bytes.extend([&[flow][..], &said].concat());
            said[3] = 0; // What follows is sound.
            (0..times).for_each(|_| bytes.extend([&[flow][..], &said].concat()));
        }
        model::flows(&bytes);
    }

    /// Headers that nearly fit, before packets that nearly are some.
    #[test]
    fn what_a_device_hands_out_is_cut_by_the_book(
        vnet in any::<[u8; 10]>(), kind in 0_usize..4, segment in 1_u16..2000,
        v4 in any::<bool>(), tcp in any::<bool>(), mut body in proptest::collection::vec(any::<u8>(), 60..4000),
    ) {
        body[0] = if v4 { 0x45 } else { 0x60 };
        body[if v4 { 9 } else { 6 }] = if tcp { 6 } else { 17 };
        if v4 { body[6..8].fill(0); }
        let mut read = vnet.to_vec();
        read[1] = [0, 1, 4, 5][kind];
        read[4..6].copy_from_slice(&segment.to_ne_bytes());
        read.extend(body);
        model::check(&[&[0], &read[..]].concat());
    }
}
