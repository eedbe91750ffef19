//! The rules of the switch, each as a test or more: peers say exactly what a rule is about, and what the others
//! hear is compared message by message.

mod calls;
mod caps;
mod endings;
mod hostile;
mod idle;
mod layouts;
mod order;
mod parking;
mod tail;
