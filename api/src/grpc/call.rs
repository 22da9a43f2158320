//! A call, with all that is known of it beside its message.

use commands::RequestContext;
use events::Actor;
use events::ids::DeviceAddress;
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::{Request, Response, Status};

use super::{Door, status};
use crate::http::extract::{Authenticated, ClientAddress};
use crate::http::layers::Asked;
use crate::limits::rates::Limit;
use crate::state::EventPosition;

/// A call by a device that has proved who it is.
pub(crate) struct DeviceCall<T> {
    /// The device.
    pub(crate) caller: DeviceAddress,
    /// For commands on its authority.
    pub(crate) context: RequestContext,
    /// The headers.
    pub(crate) metadata: MetadataMap,
    /// What it asks.
    pub(crate) message: T,
}

impl<T> DeviceCall<T> {
    /// Takes a request that has gone through the layers of authenticated services.
    pub(crate) fn of(request: Request<T>) -> Self {
        let (metadata, extensions, message) = request.into_parts();
        let caller: &Authenticated = extensions
            .get()
            .expect("the layer of authenticated services put it there");
        let asked: &Asked = extensions.get().expect("the outermost layer put it there");
        Self {
            caller: caller.address,
            context: asked.by(caller.actor()),
            metadata,
            message,
        }
    }
}

/// A call by somebody who has not said who they are.
pub(crate) struct AnonymousCall<T> {
    /// For commands on nobody's authority.
    pub(crate) context: RequestContext,
    /// Where the call comes from.
    pub(crate) address: Option<ClientAddress>,
    /// What they ask.
    pub(crate) message: T,
}

impl<T> AnonymousCall<T> {
    /// Takes a request that has gone through the layers.
    pub(crate) fn of(request: Request<T>) -> Self {
        let (_, extensions, message) = request.into_parts();
        let asked: &Asked = extensions.get().expect("the outermost layer put it there");
        Self {
            context: asked.by(Actor::Anonymous),
            address: extensions.get().copied(),
            message,
        }
    }
}

impl Door {
    /// Counts a call by the account that makes it.
    pub(super) async fn count_by_account<T>(
        &self,
        limit: Limit,
        call: &DeviceCall<T>,
    ) -> Result<(), Status> {
        self.count_by(limit, &call.caller.aci.to_string()).await
    }

    /// Counts a call by where it comes from. What comes from nowhere cannot be counted.
    pub(super) async fn count_by_address<T>(
        &self,
        limit: Limit,
        call: &AnonymousCall<T>,
    ) -> Result<(), Status> {
        let nowhere = || status::unavailable("the caller has no address");
        let address = call.address.ok_or_else(nowhere)?;
        self.count_by(limit, &address.bucket()).await
    }

    /// Counts a call.
    pub(super) async fn count_by(&self, limit: Limit, key: &str) -> Result<(), Status> {
        let counted = self.0.limits.take(limit, key).await;
        counted.map_err(status::limited)
    }
}

/// As the header of that name.
const EVENT_POSITION: &str = "x-event-position";

/// An answer whose metadata say where the log tells of what the call has changed.
pub(crate) fn at<T>(position: EventPosition, message: T) -> Response<T> {
    let mut response = Response::new(message);
    if let Some(position) = position.0 {
        let name = AsciiMetadataKey::from_static(EVENT_POSITION);
        response.metadata_mut().insert(name, position.0.into());
    }
    response
}
