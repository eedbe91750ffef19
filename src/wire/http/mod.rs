//! Heads of requests and answers, between the types of the `http` crate and their form in Cap'n Proto.

mod head;
mod names;

pub use head::{
    HeadError, Length, count, fill_headers, fill_request, fill_response, read_headers, read_request,
    read_response, texts,
};
