//! Whatever is written, in whatever batches, with whatever restarts: the store holds what a plain
//! map would hold.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use warren_daemon::store::{Write, tables};

use crate::fixture::open;

const TABLES: [&str; 2] = [tables::SESSION, tables::CONSENT];

#[derive(Debug, Clone)]
enum Action {
    /// A batch: table, key, value; `None` deletes.
    Put(Vec<(usize, u8, Option<Vec<u8>>)>),
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let write = (
        0..TABLES.len(),
        0..6_u8,
        proptest::option::of(vec(any::<u8>(), 0..40)),
    );
    prop_oneof![5 => vec(write, 0..5).prop_map(Action::Put), 1 => Just(Action::Restart)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_store_is_a_map_that_lasts(actions in vec(action(), 1..25)) {
        let home = tempfile::tempdir().unwrap();
        let mut store = Some(open(home.path()).unwrap());
        let mut model: [BTreeMap<Vec<u8>, Vec<u8>>; 2] = Default::default();
        let mut batches = 0;
        for action in actions {
            match action {
                Action::Put(writes) => {
                    batches += u64::from(!writes.is_empty());
                    let batch: Vec<_> = writes
                        .iter()
                        .map(|(table, key, value)| Write {
                            table: TABLES[*table],
                            key: vec![*key],
                            value: value.clone(),
                        })
                        .collect();
                    store.as_ref().unwrap().put(&batch).unwrap();
                    for (table, key, value) in writes {
                        match value {
                            Some(value) => drop(model[table].insert(vec![key], value)),
                            None => drop(model[table].remove(&vec![key])),
                        }
                    }
                }
                Action::Restart => {
                    drop(store.take());
                    store = Some(open(home.path()).unwrap());
                }
            }
            let store = store.as_ref().unwrap();
            for (table, expected) in TABLES.iter().zip(&model) {
                let expected: Vec<_> = expected.clone().into_iter().collect();
                prop_assert_eq!(store.scan(table).unwrap(), expected);
            }
            prop_assert_eq!(store.batches(), batches);
        }
    }
}
