//! Holds the endpoint's tables, the passes and the GUID keys against the others.

use redb::ReadableTable;

use crate::base::ids::ChangeNumber;
use crate::base::ids::Guid;
use crate::base::ids::RowId;
use crate::base::limits::UPLOAD_CHUNK_BYTES;
use crate::store::account::reading;
use crate::store::error::StoreError;
use crate::store::guid::GuidKey;
use crate::store::value::AccountData;
use crate::store::value::Device;
use crate::store::value::Filter;
use crate::store::value::LocalEvent;
use crate::store::value::Receipt;
use crate::store::value::Room;
use crate::store::value::RoomState;
use crate::store::value::SentEvent;
use crate::store::value::Stored;
use crate::store::value::StoredKey;
use crate::store::value::ToDevice;
use crate::store::value::Token;
use crate::store::value::Upload;
use crate::store::value::User;
use crate::store::verify::Verification;

impl Verification<'_> {
    /// What passes brought begins and ends with changes that were made.
    pub(in crate::store) fn passes(&mut self) -> Result<(), StoreError> {
        for (start, end) in self.snapshot.places()?.bounds() {
            let is_known = start < end && end.0 <= self.next_change;
            if !is_known {
                self.find(
                    "passes",
                    start.0,
                    "ends before it begins, or was never made",
                );
            }
        }
        Ok(())
    }

    /// Every GUID that is no UUID is found by its key.
    pub(in crate::store) fn guid_hashes(&mut self) -> Result<(), StoreError> {
        let tables = &self.snapshot.tables;
        for entry in tables.guid_others()?.iter().map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let text = entry.0.value().0;
            let key = GuidKey::of(&Guid::Other(text.into()));
            let held = tables.guid_hashes()?.get(&key.0).map_err(reading)?;
            if held.is_none_or(|held| held.value() != text.as_bytes()) {
                self.find("guid_hashes", text, "missing for a GUID");
            }
        }
        Ok(())
    }

    /// What clients left can be read, and devices and tokens lead to each other.
    pub(in crate::store) fn accounts(&mut self) -> Result<(), StoreError> {
        let tables = &self.snapshot.tables;
        self.decode_all::<u8, User>("users", tables.users()?)?;
        self.decode_all::<&str, Room>("rooms", tables.rooms()?)?;
        self.decode_all::<(u8, u64), Filter>("filters", tables.filters()?)?;
        self.decode_all::<_, SentEvent>("transactions", tables.transactions()?)?;
        for (row, data) in self.decode_all("account_data", tables.account_data()?)? {
            let data: AccountData = data;
            self.known("account_data", &row, data.change);
        }
        for (row, receipt) in self.decode_all("receipts", tables.receipts()?)? {
            let receipt: Receipt = receipt;
            self.known("receipts", &row, receipt.change);
        }
        self.room_states()?;
        for (row, key) in self.decode_all("keys", tables.keys()?)? {
            let key: StoredKey = key;
            self.known("keys", &row, key.change);
        }
        self.decode_all::<_, ToDevice>("to_device", tables.to_device()?)?;
        self.devices()?;
        self.local_events()?;
        self.uploads()
    }

    /// The values of a table with its keys as they print; those that are none are findings.
    fn decode_all<K: redb::Key + 'static, V: Stored>(
        &mut self,
        name: &'static str,
        table: &impl ReadableTable<K, &'static [u8]>,
    ) -> Result<Vec<(String, V)>, StoreError> {
        let mut values = Vec::new();
        for entry in table.iter().map_err(reading)? {
            let (key, bytes) = entry.map_err(reading)?;
            let row = format!("{:?}", key.value());
            if let Some(value) = self.decode(name, &row, bytes.value()) {
                values.push((row, value));
            }
        }
        Ok(values)
    }

    fn known(&mut self, table: &'static str, row: &str, change: ChangeNumber) {
        if change.0 >= self.next_change {
            self.find(table, row, "a change number that was never handed out");
        }
    }

    fn devices(&mut self) -> Result<(), StoreError> {
        let tables = &self.snapshot.tables;
        let mut with_token = 0;
        for entry in tables.devices()?.iter().map_err(reading)? {
            let (key, bytes) = entry.map_err(reading)?;
            let (account, id) = key.value();
            let device = self.decode::<Device>("devices", id, bytes.value());
            let Some(token) = device.and_then(|device| device.token) else {
                continue;
            };
            with_token += 1;
            let owner: Option<Token> = self.snapshot.token(&token)?;
            if owner.is_none_or(|owner| (owner.account, owner.device.as_str()) != (account, id)) {
                self.find("tokens", id, "the device's token does not lead to it");
            }
        }
        let tokens = self.decode_all::<_, Token>("tokens", tables.tokens()?)?;
        if tokens.len() != with_token {
            let what = format!("{} rows, the devices have {with_token}", tokens.len());
            self.find("tokens", "all", what);
        }
        Ok(())
    }

    /// A version that says nothing is said by the local event of its change.
    fn room_states(&mut self) -> Result<(), StoreError> {
        let tables = &self.snapshot.tables;
        for entry in tables.room_states()?.iter().map_err(reading)? {
            let (key, bytes) = entry.map_err(reading)?;
            let row = format!("{:?}", key.value());
            let Some(state) = self.decode::<RoomState>("room_states", &row, bytes.value()) else {
                continue;
            };
            self.known("room_states", &row, state.change);
            let conversation = RowId(key.value().0);
            // Names of people, and of conversations: an empty one is none (D22).
            if conversation.0 == 0 || self.conversations.contains(&conversation) {
                continue;
            }
            if state.body.0.is_empty()
                && self
                    .snapshot
                    .local_event_at(conversation, state.change)?
                    .is_none()
            {
                self.find("room_states", row, "it says nothing, and no event says it");
            }
        }
        Ok(())
    }

    fn local_events(&mut self) -> Result<(), StoreError> {
        let tables = &self.snapshot.tables;
        let mut count = 0;
        for entry in tables.local_events()?.iter().map_err(reading)? {
            let (key, bytes) = entry.map_err(reading)?;
            let change = key.value().1;
            count += 1;
            let event = self.decode::<LocalEvent>("local_events", change, bytes.value());
            let Some(event) = event else {
                continue;
            };
            let found = tables.local_event_ids()?.get(event.id.as_str());
            if found
                .map_err(reading)?
                .is_none_or(|found| found.value() != change)
            {
                self.find("local_event_ids", change, "its id does not lead to it");
            }
        }
        let ids = tables.local_event_ids()?.iter().map_err(reading)?.count();
        if ids != count {
            let what = format!("{ids} rows, there are {count} events");
            self.find("local_event_ids", "all", what);
        }
        Ok(())
    }

    /// A complete upload has the bytes that it says it has.
    fn uploads(&mut self) -> Result<(), StoreError> {
        let tables = &self.snapshot.tables;
        for entry in tables.uploads()?.iter().map_err(reading)? {
            let (id, bytes) = entry.map_err(reading)?;
            let id = id.value();
            let upload = self.decode::<Upload>("uploads", id, bytes.value());
            let Some(upload) = upload.filter(|upload| upload.completed.is_some()) else {
                continue;
            };
            let mut size_bytes = 0;
            let chunks = tables.upload_chunks()?.range((id, 0)..=(id, u32::MAX));
            for (n, chunk) in (0..).zip(chunks.map_err(reading)?) {
                let (key, bytes) = chunk.map_err(reading)?;
                let length = bytes.value().len();
                size_bytes += length as u64;
                if key.value().1 != n || length > UPLOAD_CHUNK_BYTES {
                    self.find("upload_chunks", id, "a chunk is missing or too long");
                }
            }
            if size_bytes != upload.size_bytes {
                self.find("upload_chunks", id, "they are not as long as the upload");
            }
        }
        Ok(())
    }
}
