//! A WebSocket to a node, frame by frame.

use api::ws::frame::{Frame, RequestFrame, ResponseFrame};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures::{SinkExt as _, StreamExt as _};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::cluster::ServeNode;

pub(crate) struct Wire(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Wire {
    pub(crate) async fn open(
        node: &ServeNode,
        path: &str,
        credentials: Option<(&str, &str)>,
        headers: &[(&'static str, &'static str)],
    ) -> Self {
        let url = format!("ws://{}{path}", node.http);
        let mut request = url.into_client_request().expect("it is a URL");
        if let Some((user, password)) = credentials {
            let basic = BASE64_STANDARD.encode(format!("{user}:{password}"));
            let basic = HeaderValue::from_str(&format!("Basic {basic}"));
            request
                .headers_mut()
                .insert(AUTHORIZATION, basic.expect("base64 fits a header"));
        }
        for (name, value) in headers {
            request.headers_mut().insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let (stream, _) = connect_async(request).await.expect("the node answers");
        Self(stream)
    }

    /// The server's next request, or the code with which it closes.
    pub(crate) async fn next(&mut self) -> Result<RequestFrame, Option<u16>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    if let Ok(Frame::Request(request)) = Frame::decode(bytes) {
                        return Ok(request);
                    }
                }
                Some(Ok(Message::Close(close))) => {
                    return Err(close.map(|close| close.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    pub(crate) async fn answer(&mut self, request: &RequestFrame) {
        let answer = Frame::Response(ResponseFrame {
            id: request.id,
            status: Some(200),
            message: Some("OK".to_owned()),
            ..ResponseFrame::default()
        });
        let answer = Message::Binary(answer.encode());
        self.0.send(answer).await.expect("the node listens");
    }

    /// Passes over what the server asks until it closes.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}
