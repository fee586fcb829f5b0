//! The error numbers of WASI preview 1.

use std::io;

use nix::errno::Errno as Kernel;

/// An error number of WASI preview 1 (the order of `errno` in the specification's witx file), or one of those that
/// WasmEdge adds for `sock_getaddrinfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) u16);

impl Errno {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const ACCES: Self = Self(2);
    pub(crate) const ADDRINUSE: Self = Self(3);
    pub(crate) const ADDRNOTAVAIL: Self = Self(4);
    pub(crate) const AFNOSUPPORT: Self = Self(5);
    pub(crate) const AGAIN: Self = Self(6);
    pub(crate) const BADF: Self = Self(8);
    pub(crate) const FAULT: Self = Self(21);
    pub(crate) const INVAL: Self = Self(28);
    pub(crate) const IO: Self = Self(29);
    pub(crate) const MFILE: Self = Self(33);
    pub(crate) const NOPROTOOPT: Self = Self(50);
    pub(crate) const NOSYS: Self = Self(52);
    pub(crate) const NOTCONN: Self = Self(53);
    pub(crate) const NOTSUP: Self = Self(58);
    pub(crate) const AIMEMORY: Self = Self(82);
    pub(crate) const AINONAME: Self = Self(84);
    pub(crate) const AISERVICE: Self = Self(85);

    /// The number of an error of the kernel.
    pub(crate) fn of(error: &io::Error) -> Self {
        error.raw_os_error().map_or(Self::IO, |number| Kernel::from_raw(number).into())
    }
}

impl From<Kernel> for Errno {
    fn from(error: Kernel) -> Self {
        Self(match error {
            Kernel::EACCES => 2,
            Kernel::EADDRINUSE => 3,
            Kernel::EADDRNOTAVAIL => 4,
            Kernel::EAFNOSUPPORT => 5,
            Kernel::EAGAIN => 6,
            Kernel::EALREADY => 7,
            Kernel::EBADF => 8,
            Kernel::ECONNABORTED => 13,
            Kernel::ECONNREFUSED => 14,
            Kernel::ECONNRESET => 15,
            Kernel::EDESTADDRREQ => 17,
            Kernel::EDQUOT => 19,
            Kernel::EFAULT => 21,
            Kernel::EFBIG => 22,
            Kernel::EHOSTUNREACH => 23,
            Kernel::EINPROGRESS => 26,
            Kernel::EINTR => 27,
            Kernel::EINVAL => 28,
            Kernel::EISCONN => 30,
            Kernel::EISDIR => 31,
            Kernel::EMFILE => 33,
            Kernel::EMSGSIZE => 35,
            Kernel::ENETDOWN => 38,
            Kernel::ENETRESET => 39,
            Kernel::ENETUNREACH => 40,
            Kernel::ENFILE => 41,
            Kernel::ENOBUFS => 42,
            Kernel::ENOMEM => 48,
            Kernel::ENOPROTOOPT => 50,
            Kernel::ENOSPC => 51,
            Kernel::ENOTCONN => 53,
            Kernel::ENOTSOCK => 57,
            Kernel::EOPNOTSUPP => 58,
            Kernel::ENXIO => 60,
            Kernel::EPERM => 63,
            Kernel::EPIPE => 64,
            Kernel::EPROTO => 65,
            Kernel::ETIMEDOUT => 73,
            _ => 29, // EIO
        })
    }
}
