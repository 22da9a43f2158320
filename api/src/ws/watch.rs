//! Those who wait for something to be stored: long polls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use events::codec::Fact;
use events::{Position, StreamId};
use tokio::sync::watch;

/// The streams that somebody on this node waits for. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Watchers(Arc<Mutex<HashMap<StreamId, watch::Sender<Position>>>>);

/// Somebody who waits for a stream, for as long as this lives.
pub(crate) struct Watch {
    watchers: Watchers,
    stream: StreamId,
    news: Option<watch::Receiver<Position>>,
}

impl Watchers {
    /// Waits for what is stored in the stream from now on.
    pub(crate) fn watch(&self, stream: StreamId) -> Watch {
        let news = self.all().entry(stream.clone()).or_default().subscribe();
        Watch {
            watchers: self.clone(),
            stream,
            news: Some(news),
        }
    }

    /// Tells those who wait for its stream of an event.
    pub(crate) fn observe(&self, fact: &Fact) {
        if let Some(news) = self.all().get(&fact.stream) {
            news.send_replace(fact.position);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<StreamId, watch::Sender<Position>>> {
        self.0
            .lock()
            .expect("nothing panics while it holds the watchers")
    }
}

impl Watch {
    /// The position of the next event in the stream, or of the last one that came since this was asked before.
    pub(crate) async fn next(&mut self) -> Position {
        let Some(news) = &mut self.news else {
            return std::future::pending().await;
        };
        match news.changed().await {
            Ok(()) => *news.borrow_and_update(),
            // The sender stays as long as somebody waits.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut all = self.watchers.all();
        self.news = None;
        if all
            .get(&self.stream)
            .is_some_and(|news| news.receiver_count() == 0)
        {
            all.remove(&self.stream);
        }
    }
}
