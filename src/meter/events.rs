//! The same in a stream of events (WHATWG HTML, "Server-sent events"): the last
//! event that says how much was used counts.

use super::Reading;
use super::scan::{Path, Scan};

/// The field that holds what an event says.
const DATA: &[u8] = b"data";

/// Where the reader is in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// So many bytes into a name that is `data` so far.
    Name(usize),
    /// Behind the colon, where one space means nothing.
    Colon,
    /// In what it says.
    Data,
    /// In a line that says nothing of use.
    Other,
}

/// Looks for the number at a path in the data of events.
#[derive(Clone, Debug)]
pub(super) struct Events {
    path: Path,
    at: At,
    /// Whether the last byte ended a line that a line feed would end as well.
    was_return: bool,
    /// The event that is being read, if it has data.
    event: Option<Scan>,
    found: Reading,
}

impl Events {
    pub(super) fn new(path: Path) -> Self {
        Self { path, at: At::Name(0), was_return: false, event: None, found: Reading::Nothing }
    }

    /// What the last event said that said something. One that has not ended
    /// counts once its data is whole: it was sent.
    pub(super) fn reading(&self) -> Reading {
        let event = self.event.as_ref().filter(|event| event.is_whole()).map(Scan::reading);
        match event {
            Some(reading @ (Reading::Used(_) | Reading::Unreadable)) => reading,
            Some(Reading::Nothing) | None => self.found,
        }
    }

    pub(super) fn take(&mut self, chunk: &[u8]) {
        for &byte in chunk {
            match byte {
                b'\n' if self.was_return => {}
                b'\n' | b'\r' => self.end_line(),
                // A mark that may stand before the first line.
                0xef | 0xbb | 0xbf if self.at == At::Name(0) => {}
                _ => self.step(byte),
            }
            self.was_return = byte == b'\r';
        }
    }

    fn step(&mut self, byte: u8) {
        self.at = match (self.at, byte) {
            (At::Name(count), b':') if count == DATA.len() => {
                let path = &self.path;
                match &mut self.event {
                    // Lines of one event are lines of one text.
                    Some(event) => event.take(b"\n"),
                    None => self.event = Some(Scan::new(path.clone())),
                }
                At::Colon
            }
            (At::Name(count), byte) if DATA.get(count) == Some(&byte) => At::Name(count + 1),
            (At::Colon, b' ') => At::Data,
            (At::Colon | At::Data, byte) => {
                if let Some(event) = &mut self.event {
                    event.take(&[byte]);
                }
                At::Data
            }
            (At::Name(_) | At::Other, _) => At::Other,
        };
    }

    fn end_line(&mut self) {
        if self.at == At::Name(0) {
            // An empty line ends an event.
            self.found = self.reading();
            self.event = None;
        }
        self.at = At::Name(0);
    }
}
