//! The only types that are serialised for others. A change here is a change of contract: fields may
//! be added; a removed or changed one raises the schema's number.

pub mod dist;
pub mod doctor;
pub mod plan;
pub mod verify;

pub use dist::Dist;
pub use doctor::Doctor;
pub use plan::Plan;
pub use verify::Verification;
