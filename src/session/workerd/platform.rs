//! Which releases of workerd and esbuild are fetched, for which machine.

use super::WorkerdError;

/// A release that we know byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The npm package that holds the native binary of one platform.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// What it is called in the cache, with the platform.
    pub label: String,
    /// Where the package keeps the binary. It is only compared, never used as a path of ours.
    pub member: &'static str,
    /// SHA-512 of the packed package, in hex.
    pub sha512: String,
    /// Size of the packed package: what a download amounts to.
    pub packed_bytes: u64,
    /// Size of the binary. A file of any other size in the cache is not the binary.
    pub binary_bytes: u64,
}

impl Pin {
    /// The release for this machine.
    ///
    /// # Errors
    /// Where no workerd exists that we can use, the error says why.
    pub fn for_host() -> Result<Self, WorkerdError> {
        Self::for_platform(std::env::consts::OS, std::env::consts::ARCH)
    }

    /// The release for a platform, in the words of [`std::env::consts`].
    ///
    /// # Errors
    /// As [`Pin::for_host`].
    pub fn for_platform(os: &str, arch: &str) -> Result<Self, WorkerdError> {
        let pinned = match (os, arch) {
            ("linux", "x86_64") => &LINUX_64,
            ("linux", "aarch64") => &LINUX_ARM64,
            ("macos", "x86_64") => &DARWIN_64,
            ("macos", "aarch64") => &DARWIN_ARM64,
            _ => return Err(WorkerdError::unsupported(os, arch)),
        };
        Ok(Self {
            package: format!("@cloudflare/{}", pinned.folder),
            version: pinned.version.to_owned(),
            label: pinned.folder.to_owned(),
            member: "package/bin/workerd",
            sha512: pinned.sha512.to_owned(),
            packed_bytes: pinned.packed_bytes,
            binary_bytes: pinned.binary_bytes,
        })
    }

    /// The release of esbuild for this machine.
    ///
    /// # Errors
    /// As [`Pin::for_host`].
    pub fn of_esbuild() -> Result<Self, WorkerdError> {
        Self::of_esbuild_for(std::env::consts::OS, std::env::consts::ARCH)
    }

    fn of_esbuild_for(os: &str, arch: &str) -> Result<Self, WorkerdError> {
        let pinned = match (os, arch) {
            ("linux", "x86_64") => &ESBUILD_LINUX_64,
            ("linux", "aarch64") => &ESBUILD_LINUX_ARM64,
            ("macos", "x86_64") => &ESBUILD_DARWIN_64,
            ("macos", "aarch64") => &ESBUILD_DARWIN_ARM64,
            _ => return Err(WorkerdError::unsupported(os, arch)),
        };
        Ok(Self {
            package: format!("@esbuild/{}", pinned.folder),
            version: pinned.version.to_owned(),
            label: format!("esbuild-{}", pinned.folder),
            member: "package/bin/esbuild",
            sha512: pinned.sha512.to_owned(),
            packed_bytes: pinned.packed_bytes,
            binary_bytes: pinned.binary_bytes,
        })
    }

    /// The date that the pinned binary answers to `--version`: the middle of the package's version.
    pub(super) fn date(&self) -> Option<String> {
        let digits = self.version.split('.').nth(1)?;
        let (year, month, day) = (digits.get(..4)?, digits.get(4..6)?, digits.get(6..)?);
        Some(format!("{year}-{month}-{day}"))
    }

    /// The package's folder below `node_modules/@cloudflare`.
    pub(super) fn folder(&self) -> &str {
        self.package.rsplit('/').next().unwrap_or(&self.package)
    }
}

struct Pinned {
    folder: &'static str,
    version: &'static str,
    sha512: &'static str,
    packed_bytes: u64,
    binary_bytes: u64,
}

// Every hash is the `dist.integrity` that npm publishes, compared with the SHA-512 of the package that npm handed out.
// The platforms differ in version because a hash can only be taken of what is published where it is taken: macOS's
// packages came out there up to October.
const LINUX_64: Pinned = Pinned {
    folder: "workerd-linux-64",
    version: "1.20261117.1",
    sha512: concat!(
        "8192c0f17d759bf96e6709fe600dfe983bbad6f771349ce992c3ff419aa3c9d2",
        "9343e5540ae96c2b982d9fd06ab2dd69dca26eda469f4292759c342fe01db78c"
    ),
    packed_bytes: 46_705_140,
    binary_bytes: 162_281_568,
};

const LINUX_ARM64: Pinned = Pinned {
    folder: "workerd-linux-arm64",
    version: "1.20261117.1",
    sha512: concat!(
        "8315a7805a23ab8d542ca34a6fdae9598bcaa2d379853d88ff1a2df81a72df57",
        "17cebc1c4e0b432d231bdadef9b16e412711fb862845be292061be7bee407766"
    ),
    packed_bytes: 46_754_578,
    binary_bytes: 165_681_672,
};

const DARWIN_64: Pinned = Pinned {
    folder: "workerd-darwin-64",
    version: "1.20261023.1",
    sha512: concat!(
        "96c131d22ee74743cd1bf7ab5051479909a289d1212df0c4e6e42600bf78db5f",
        "f2e3fc9cbb10c33926b1bb75461981453cae6c76ec9478c9a32255f80b038116"
    ),
    packed_bytes: 39_954_938,
    binary_bytes: 143_735_360,
};

const DARWIN_ARM64: Pinned = Pinned {
    folder: "workerd-darwin-arm64",
    version: "1.20261023.1",
    sha512: concat!(
        "e5eefd7c781a6dd0c3f048268ce849d52fb132c7fa0db0bb7cbec8813062ccc9",
        "f33a9d0fda2b039fba58994c48f4025913d1554384548a51ff237e98360f8641"
    ),
    packed_bytes: 38_416_424,
    binary_bytes: 139_118_424,
};

const ESBUILD_LINUX_64: Pinned = Pinned {
    folder: "linux-x64",
    version: "0.28.2",
    sha512: concat!(
        "e314d9af5154992a105b85c85a68addedcd0ad44d933e3773f45d5f3144e2981",
        "79d177c8ef178ef74fb56d9bcdc3122e7d0f610d0551247e588603d517c03f1d"
    ),
    packed_bytes: 4_741_809,
    binary_bytes: 11_427_952,
};

const ESBUILD_LINUX_ARM64: Pinned = Pinned {
    folder: "linux-arm64",
    version: "0.28.2",
    sha512: concat!(
        "a56e000b43f78adf1cedda3d315338a79d45cc7cdd33f4d9adeaeeae045c1c9d",
        "964dad55435088ab5f319dc7e9049c38a23922659aca5b6c8805604ff768fa52"
    ),
    packed_bytes: 4_283_627,
    binary_bytes: 10_289_264,
};

const ESBUILD_DARWIN_64: Pinned = Pinned {
    folder: "darwin-x64",
    version: "0.28.2",
    sha512: concat!(
        "baaeacb885983f7eeacc675d04a3f0e501103e2e8788b1ac3bb5269297f26983",
        "50dc3fab37ac3a59fc07fa7baa7065d6bdac06c31384ae83b86069c587de5acf"
    ),
    packed_bytes: 4_802_970,
    binary_bytes: 11_656_032,
};

const ESBUILD_DARWIN_ARM64: Pinned = Pinned {
    folder: "darwin-arm64",
    version: "0.28.2",
    sha512: concat!(
        "9f82aa90e42badac4725c82333546fc1b8a07d028828956933bc69f8ab318b25",
        "12ad17485e7b7bdd586b3c0c747d5e388607e62152a3c4c37d275b798f249593"
    ),
    packed_bytes: 4_434_422,
    binary_bytes: 10_590_882,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_platform_has_a_whole_pin() {
        for (os, arch) in
            [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "x86_64"), ("macos", "aarch64")]
        {
            let pin = Pin::for_platform(os, arch).unwrap();
            assert_eq!(hex::decode(&pin.sha512).unwrap().len(), 64, "{os} {arch}");
            let esbuild = Pin::of_esbuild_for(os, arch).unwrap();
            assert_eq!(hex::decode(&esbuild.sha512).unwrap().len(), 64, "{os} {arch}");
            assert!(pin.date().is_some_and(|date| date.len() == 10), "{os} {arch}");
            assert!(pin.binary_bytes > pin.packed_bytes, "{os} {arch}");
        }
    }

    #[test]
    fn windows_is_refused_with_the_reason() {
        let refusal = Pin::for_platform("windows", "x86_64").unwrap_err().to_string();
        assert!(refusal.contains("Windows") && refusal.contains("unix sockets"), "{refusal}");
    }
}
