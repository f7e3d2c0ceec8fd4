//! Whether there are tiles, and whether this process may use them: Linux gives them to who asks (`Documentation/arch/x86/xstate.rst`).

use std::sync::OnceLock;

use crate::kernels::TileSupport;

/// Asks once.
pub(in crate::kernels) fn tile_support() -> TileSupport {
    static FOUND: OnceLock<TileSupport> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let has_vectors = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bf16");
        match has_vectors && has_tiles() {
            false => TileSupport::Absent,
            true if is_given() => TileSupport::Allowed,
            true => TileSupport::Refused,
        }
    })
}

/// AMX-BF16 and AMX-TILE: bits 22 and 24 of EDX of leaf 7.
fn has_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    const WANTED: u32 = 1 << 22 | 1 << 24;
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & WANTED == WANTED
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`, for all threads of the process.
#[cfg(target_os = "linux")]
fn is_given() -> bool {
    let (call, request, feature) = (158i64, 0x1023i64, 18i64);
    let result: i64;
    // SAFETY: the call looks at no memory.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") call => result, in("rdi") request, in("rsi") feature,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_given() -> bool {
    false
}
