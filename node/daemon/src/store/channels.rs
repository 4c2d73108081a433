//! The store as payments see it.

use warren_payments::store::{ChannelStore, Put, Records, StoreError as PaymentsError, Table};

use super::{Store, StoreError, Write};

fn told(doing: &'static str, table: &'static str, error: &StoreError) -> PaymentsError {
    PaymentsError {
        doing,
        table,
        reason: error.to_string(),
    }
}

impl ChannelStore for Store {
    fn put(&self, batch: Vec<Put>) -> Result<(), PaymentsError> {
        let table = batch.first().map_or("nothing", |it| it.table.name());
        let write = |it: Put| Write {
            table: it.table.name(),
            key: it.key,
            value: it.value,
        };
        let writes: Vec<_> = batch.into_iter().map(write).collect();
        Self::put(self, &writes).map_err(|error| told("write", table, &error))
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, PaymentsError> {
        Self::get(self, table.name(), key).map_err(|error| told("read", table.name(), &error))
    }

    fn scan(&self, table: Table) -> Result<Records, PaymentsError> {
        Self::scan(self, table.name()).map_err(|error| told("scan", table.name(), &error))
    }
}
