//! A request's body, read whole, within its bounds of size and time.

use actix_web::{
    HttpRequest,
    http::header::CONTENT_LENGTH,
    web::{Bytes, BytesMut, Payload},
};
use futures::StreamExt;

use super::{Doors, compression, inference::text_header};
use crate::kernel::error::{ErrorKind, GatewayError};

/// The longest packed body that is unpacked at once, on the thread that serves; a longer one would hold others up. In bytes.
const AT_ONCE: usize = 4 << 10;

/// Reads the body within its bounds of size and time.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    doors: &Doors,
) -> Result<Bytes, GatewayError> {
    let too_large = || {
        let message = format!("the body is larger than {} bytes", doors.body_limit);
        GatewayError::new(ErrorKind::TooLarge, message)
    };
    let layers = match text_header(request, "content-encoding") {
        Some(encoding) => compression::layers(&encoding)?,
        None => Vec::new(),
    };
    let declared = text_header(request, CONTENT_LENGTH.as_str()).and_then(|it| it.parse::<usize>().ok());
    if declared.is_some_and(|it| it > doors.body_limit) {
        return Err(too_large());
    }
    let reading = async {
        // A body of known length goes into one piece of memory. Of one that may grow for ever the pieces are kept as they
        // came: small ones, that serve the next request too if this one is refused.
        let mut whole = BytesMut::new();
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut length = 0;
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| GatewayError::new(ErrorKind::BadRequest, "the body broke off"))?;
            length += chunk.len();
            if length > doors.body_limit {
                return Err(too_large());
            }
            match declared {
                Some(total) if chunk.len() < total => {
                    whole.reserve(total.saturating_sub(whole.len()));
                    whole.extend_from_slice(&chunk);
                }
                _ => pieces.push(chunk),
            }
        }
        if pieces.len() == 1 && whole.is_empty() {
            return Ok(pieces.swap_remove(0));
        }
        whole.reserve(length - whole.len());
        for piece in &pieces {
            whole.extend_from_slice(piece);
        }
        Ok(whole.freeze())
    };
    let body = tokio::time::timeout(doors.body_timeout, reading).await.unwrap_or_else(|_| {
        let limit = humantime::format_duration(doors.body_timeout);
        let message = format!("the body did not come within {limit}: send it at once");
        Err(GatewayError::new(ErrorKind::SlowRequest, message))
    })?;
    if layers.is_empty() {
        return Ok(body);
    }
    let limit = doors.body_limit;
    if body.len() <= AT_ONCE {
        return compression::unpack(body, &layers, limit);
    }
    actix_web::web::block(move || compression::unpack(body, &layers, limit))
        .await
        .unwrap_or_else(|_| Err(GatewayError::new(ErrorKind::Internal, "the body could not be unpacked")))
}
