//! A connection to a server, with or without TLS.

use std::rc::Rc;

use crate::bindings::hero::scenario::sockets::{Connection, Fault, Progress};
use crate::origin::Origin;
use crate::tls::Tls;

/// A connection.
pub(crate) struct Link {
    pub(crate) origin: Rc<Origin>,
    connection: Connection,
    tls: Option<Box<Tls>>,
    /// Its address's place, until it is known to be good.
    place: Option<usize>,
}

/// What came of a step.
pub(crate) enum Step {
    Pending,
    /// Something came, and there may be more.
    More,
    End,
}

impl Link {
    /// Starts to connect; none if there is no further address for this attempt.
    pub(crate) fn connect(
        origin: &Rc<Origin>,
        attempt: usize,
        place: u32,
        source: Option<&str>,
    ) -> Option<Result<Self, String>> {
        let (address_place, address) = origin.address(attempt, source)?;
        let connect = || {
            let tls = origin.trust.as_ref().map(Tls::new).transpose()?;
            let connection = Connection::connect(place, address, source)?;
            let tls = tls.map(Box::new);
            Ok(Self { origin: Rc::clone(origin), connection, tls, place: Some(address_place) })
        };
        Some(connect())
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match &mut self.tls {
            None => self.connection.send(bytes),
            Some(tls) => {
                tls.say(bytes).map_err(fault)?;
                self.connection.send(&tls.outgoing())
            }
        }
    }

    /// Goes on, and hands over what has come.
    pub(crate) fn step(
        &mut self,
        mut heard: impl FnMut(&[u8]) -> Result<(), &'static str>,
    ) -> Result<Step, Fault> {
        let bytes = match self.connection.step()? {
            Progress::Pending => return Ok(Step::Pending),
            Progress::End => return Ok(Step::End),
            Progress::Bytes(bytes) => bytes,
        };
        if let Some(place) = self.place.take() {
            self.origin.prefer(place);
        }
        match &mut self.tls {
            None => heard(&bytes).map_err(fault)?,
            Some(tls) => {
                let result = tls.hear(&bytes, heard);
                // After a failure this is the alert that says why.
                let outgoing = tls.outgoing();
                if !outgoing.is_empty() {
                    self.connection.send(&outgoing)?;
                }
                result.map_err(fault)?;
            }
        }
        Ok(Step::More)
    }
}

fn fault(kind: &'static str) -> Fault {
    Fault { kind: kind.to_owned(), connected: true }
}
