//! The functions of MPI that ranks need, for a library whose handles are of type `H`.
//!
//! Adding up is rarefy's own, so MPI moves bytes and nothing else.

use std::ffi::{CStr, c_char, c_int, c_void};

use libloading::os::unix::Library;

/// A handle of MPI: what it names a communicator, a type or a request by. It is a pointer or an integer ([`crate::library`]).
pub trait Handle: Copy + Send + Sync + 'static {}

impl Handle for c_int {}

/// A handle that is a pointer.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Pointer(pub *mut c_void);

// SAFETY: it is a name that MPI gives; nothing here looks at what it points to, and MPI is asked by one thread at a time.
unsafe impl Send for Pointer {}
// SAFETY: as above.
unsafe impl Sync for Pointer {}

impl Handle for Pointer {}

/// What differs between libraries.
#[derive(Clone, Copy)]
pub struct Constants<H> {
    /// All ranks.
    pub world: H,
    /// The type of a byte.
    pub byte: H,
    /// That errors are returned and do not end the process.
    pub errors_return: H,
    /// That several threads call MPI, one at a time.
    pub serialized: c_int,
    /// A message of whoever.
    pub any_source: c_int,
    /// Where the sender stands in a status.
    pub source: usize,
    /// Classes of errors that mean a rank that is gone; nothing where the library cannot go on without one.
    pub lost: &'static [c_int],
}

/// What MPI says of a message: 24 bytes in Open MPI, 20 in MPICH, 32 in MPI-5.0.
type Status = [c_int; 16];

/// The functions of a library.
pub struct Api<H> {
    constants: Constants<H>,
    init_thread: unsafe extern "C" fn(*mut c_void, *mut c_void, c_int, *mut c_int) -> c_int,
    initialized: unsafe extern "C" fn(*mut c_int) -> c_int,
    query_thread: unsafe extern "C" fn(*mut c_int) -> c_int,
    finalize: unsafe extern "C" fn() -> c_int,
    abort: unsafe extern "C" fn(H, c_int) -> c_int,
    library_version: unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int,
    error_string: unsafe extern "C" fn(c_int, *mut c_char, *mut c_int) -> c_int,
    processor_name: unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int,
    set_errhandler: unsafe extern "C" fn(H, H) -> c_int,
    dup: unsafe extern "C" fn(H, *mut H) -> c_int,
    rank: unsafe extern "C" fn(H, *mut c_int) -> c_int,
    size: unsafe extern "C" fn(H, *mut c_int) -> c_int,
    isend: unsafe extern "C" fn(*const c_void, c_int, H, c_int, c_int, H, *mut H) -> c_int,
    irecv: unsafe extern "C" fn(*mut c_void, c_int, H, c_int, c_int, H, *mut H) -> c_int,
    iprobe: unsafe extern "C" fn(c_int, c_int, H, *mut c_int, *mut c_int) -> c_int,
    test: unsafe extern "C" fn(*mut H, *mut c_int, *mut c_int) -> c_int,
    get_count: unsafe extern "C" fn(*const c_int, H, *mut c_int) -> c_int,
    error_class: unsafe extern "C" fn(c_int, *mut c_int) -> c_int,
    leaving: Option<Leaving<H>>,
}

/// The functions by which ranks leave lost ones behind (User-Level Failure Mitigation, Bland et al. 2013), where a library has them.
struct Leaving<H> {
    revoke: unsafe extern "C" fn(H) -> c_int,
    shrink: unsafe extern "C" fn(H, *mut H) -> c_int,
    iagree: unsafe extern "C" fn(H, *mut c_int, *mut H) -> c_int,
}

/// A message that has come or gone.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Who has sent it; of no meaning for a message that was sent.
    pub source: usize,
    /// Its bytes, likewise.
    pub length: usize,
}

/// What MPI says is wrong.
#[derive(Debug)]
pub struct Problem {
    /// In words.
    pub said: String,
    /// Whether a rank is gone, or another one has found that.
    pub is_loss: bool,
}

impl From<Problem> for String {
    fn from(problem: Problem) -> String {
        problem.said
    }
}

/// What a call of MPI has come to.
pub type Result<T> = std::result::Result<T, Problem>;

impl<H: Handle> Api<H> {
    /// Finds the functions in a library.
    ///
    /// # Errors
    /// A function that the library lacks.
    ///
    /// # Safety
    /// The library must be an MPI whose handles are of type `H` and whose constants are these, and it must stay loaded.
    pub unsafe fn load(
        library: &Library,
        constants: Constants<H>,
    ) -> std::result::Result<Api<H>, libloading::Error> {
        /// A function by its name.
        ///
        /// # Safety
        /// It must be of type `F`.
        unsafe fn find<F: Copy>(library: &Library, name: &[u8]) -> std::result::Result<F, libloading::Error> {
            // SAFETY: the caller's.
            Ok(*unsafe { library.get::<F>(name) }?)
        }
        // SAFETY: these are the types that the drafts of these functions give them, in each library that has them.
        let leaving = unsafe {
            let revoke = find(library, b"MPIX_Comm_revoke\0");
            let others = (find(library, b"MPIX_Comm_shrink\0"), find(library, b"MPIX_Comm_iagree\0"));
            match (revoke, others) {
                (Ok(revoke), (Ok(shrink), Ok(iagree))) => Some(Leaving { revoke, shrink, iagree }),
                _ => None,
            }
        };
        // SAFETY: these are the types that the MPI standard gives these functions, for handles of type `H`.
        unsafe {
            Ok(Api {
                constants,
                init_thread: find(library, b"MPI_Init_thread\0")?,
                initialized: find(library, b"MPI_Initialized\0")?,
                query_thread: find(library, b"MPI_Query_thread\0")?,
                finalize: find(library, b"MPI_Finalize\0")?,
                abort: find(library, b"MPI_Abort\0")?,
                library_version: find(library, b"MPI_Get_library_version\0")?,
                error_string: find(library, b"MPI_Error_string\0")?,
                processor_name: find(library, b"MPI_Get_processor_name\0")?,
                set_errhandler: find(library, b"MPI_Comm_set_errhandler\0")?,
                dup: find(library, b"MPI_Comm_dup\0")?,
                rank: find(library, b"MPI_Comm_rank\0")?,
                size: find(library, b"MPI_Comm_size\0")?,
                isend: find(library, b"MPI_Isend\0")?,
                irecv: find(library, b"MPI_Irecv\0")?,
                iprobe: find(library, b"MPI_Iprobe\0")?,
                test: find(library, b"MPI_Test\0")?,
                get_count: find(library, b"MPI_Get_count\0")?,
                error_class: find(library, b"MPI_Error_class\0")?,
                leaving: leaving.filter(|_| !constants.lost.is_empty()),
            })
        }
    }

    /// What the library calls itself, in its first line. It may be asked at any time.
    pub fn version(&self) -> String {
        // SAFETY: the text is longer than MPI_MAX_LIBRARY_VERSION_STRING of all libraries (8192).
        let version = self
            .text("MPI_Get_library_version", |text, length| unsafe { (self.library_version)(text, length) });
        let version = version.unwrap_or_else(String::from);
        version.lines().next().unwrap_or_default().trim().replace('\t', " ")
    }

    /// Starts MPI for threads that call it one at a time, unless this process has done so already. Returns whether it was
    /// started here, and the thread level that it gives.
    ///
    /// # Errors
    /// What MPI says; a level that is too low.
    pub fn init(&self) -> Result<(bool, c_int)> {
        let (mut was, mut level) = (0, 0);
        // SAFETY: MPI_Initialized may be called at any time, MPI_Init_thread takes null for the arguments of a program, and
        // the others write into the numbers that they are given.
        unsafe {
            self.check("MPI_Initialized", (self.initialized)(&mut was))?;
            if was == 0 {
                let (none, wanted) = (std::ptr::null_mut(), self.constants.serialized);
                self.check("MPI_Init_thread", (self.init_thread)(none, none, wanted, &mut level))?;
            } else {
                self.check("MPI_Query_thread", (self.query_thread)(&mut level))?;
            }
        }
        if level < self.constants.serialized {
            let cure = "start MPI with MPI_THREAD_SERIALIZED or MPI_THREAD_MULTIPLE";
            let said = format!("lets one thread alone call it; {cure}");
            return Err(Problem { said, is_loss: false });
        }
        Ok((was == 0, level))
    }

    /// The name of the thread level that [`init`](Api::init) has got.
    pub fn level_name(&self, level: c_int) -> &'static str {
        if level > self.constants.serialized { "multiple" } else { "serialized" }
    }

    /// All ranks, as a group whose errors are returned.
    ///
    /// # Errors
    /// What MPI says.
    pub fn all_ranks(&self) -> Result<H> {
        let mut comm = self.constants.world;
        // SAFETY: MPI is initialised (the caller has no other way to come here), and `comm` is written to.
        unsafe {
            self.check("MPI_Comm_dup", (self.dup)(self.constants.world, &mut comm))?;
        }
        self.returns_errors(comm)
    }

    /// The same ranks, whose errors are returned.
    fn returns_errors(&self, comm: H) -> Result<H> {
        // SAFETY: `comm` is MPI's.
        let code = unsafe { (self.set_errhandler)(comm, self.constants.errors_return) };
        self.check("MPI_Comm_set_errhandler", code)?;
        Ok(comm)
    }

    /// Whether the library has what ranks need to leave lost ones behind.
    pub fn can_leave(&self) -> bool {
        self.leaving.is_some()
    }

    fn leaving(&self) -> &Leaving<H> {
        self.leaving.as_ref().expect("ranks are only left behind where the library can do it")
    }

    /// Ends all messages of a group, under way and to come, with an error.
    pub fn revoke(&self, comm: H) {
        // SAFETY: `comm` is MPI's. What it says is of no use: messages that go on do no harm.
        unsafe { (self.leaving().revoke)(comm) };
    }

    /// Begins to make a flag 1 if it is 1 on all ranks that are left, and otherwise 0: on all of them the same.
    ///
    /// # Errors
    /// What MPI says.
    ///
    /// # Safety
    /// The flag must stay where it is and be left alone until [`test`](Api::test) finds the request done or wrong.
    pub unsafe fn start_agreement(&self, comm: H, flag: &mut c_int) -> Result<H> {
        let mut request = comm;
        // SAFETY: the flag stays by the caller's word.
        self.check("MPIX_Comm_iagree", unsafe { (self.leaving().iagree)(comm, flag, &mut request) })?;
        Ok(request)
    }

    /// The ranks of a group that are left, in the same order. It waits for all of them.
    ///
    /// # Errors
    /// What MPI says.
    pub fn shrink(&self, comm: H) -> Result<H> {
        let mut left = comm;
        // SAFETY: `comm` is MPI's, and `left` is written to.
        self.check("MPIX_Comm_shrink", unsafe { (self.leaving().shrink)(comm, &mut left) })?;
        self.returns_errors(left)
    }

    /// The number of this rank, and of ranks.
    ///
    /// # Errors
    /// What MPI says.
    pub fn rank_and_size(&self, comm: H) -> Result<(usize, usize)> {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: `comm` is MPI's, and the numbers are written to.
        unsafe {
            self.check("MPI_Comm_rank", (self.rank)(comm, &mut rank))?;
            self.check("MPI_Comm_size", (self.size)(comm, &mut size))?;
        }
        Ok((rank as usize, size as usize))
    }

    /// The name of this machine.
    ///
    /// # Errors
    /// What MPI says.
    pub fn host(&self) -> Result<String> {
        // SAFETY: the text is longer than MPI_MAX_PROCESSOR_NAME of all libraries (256).
        self.text("MPI_Get_processor_name", |text, length| unsafe { (self.processor_name)(text, length) })
    }

    /// Begins to send bytes.
    ///
    /// # Errors
    /// What MPI says.
    ///
    /// # Panics
    /// If there are more than `i32::MAX` bytes.
    ///
    /// # Safety
    /// The bytes must stay where they are until [`test`](Api::test) finds the request done.
    pub unsafe fn start_send(&self, comm: H, to: usize, tag: c_int, bytes: &[u8]) -> Result<H> {
        let (length, byte, mut request) = (int(bytes.len()), self.constants.byte, comm);
        // SAFETY: that many bytes are there, and stay by the caller's word.
        let code =
            unsafe { (self.isend)(bytes.as_ptr().cast(), length, byte, int(to), tag, comm, &mut request) };
        self.check("MPI_Isend", code)?;
        Ok(request)
    }

    /// Begins to receive at most so many bytes as there is room for, from a rank or from any.
    ///
    /// # Errors
    /// What MPI says.
    ///
    /// # Panics
    /// If there is room for more than `i32::MAX` bytes.
    ///
    /// # Safety
    /// The room must stay where it is and be left alone until [`test`](Api::test) finds the request done.
    pub unsafe fn start_receive(
        &self,
        comm: H,
        from: Option<usize>,
        tag: c_int,
        room: &mut [u8],
    ) -> Result<H> {
        let (length, byte, mut request) = (int(room.len()), self.constants.byte, comm);
        let from = from.map_or(self.constants.any_source, int);
        // SAFETY: there is that much room, and it stays by the caller's word.
        let code =
            unsafe { (self.irecv)(room.as_mut_ptr().cast(), length, byte, from, tag, comm, &mut request) };
        self.check("MPI_Irecv", code)?;
        Ok(request)
    }

    /// Who has sent a message that can be received, if anyone has.
    ///
    /// # Errors
    /// What MPI says.
    pub fn probe(&self, comm: H, tag: c_int) -> Result<Option<usize>> {
        let (mut is_there, mut status): (c_int, Status) = (0, [0; 16]);
        let any = self.constants.any_source;
        // SAFETY: `comm` is MPI's, and the status has room for that of any library.
        let code = unsafe { (self.iprobe)(any, tag, comm, &mut is_there, status.as_mut_ptr()) };
        self.check("MPI_Iprobe", code)?;
        Ok((is_there != 0).then(|| status[self.constants.source].max(0) as usize))
    }

    /// Whether a request is done. Then it is no more.
    ///
    /// # Errors
    /// What MPI says, as of a message that is longer than its room.
    pub fn test(&self, request: &mut H) -> Result<Option<Done>> {
        let (mut is_done, mut length, mut status): (c_int, c_int, Status) = (0, 0, [0; 16]);
        // SAFETY: the request is of `start_send` or `start_receive`, and the status has room for that of any library.
        unsafe {
            self.check("MPI_Test", (self.test)(request, &mut is_done, status.as_mut_ptr()))?;
            if is_done == 0 {
                return Ok(None);
            }
            let code = (self.get_count)(status.as_ptr(), self.constants.byte, &mut length);
            self.check("MPI_Get_count", code)?;
        }
        let source = status[self.constants.source];
        Ok(Some(Done { source: source.max(0) as usize, length: length.max(0) as usize }))
    }

    /// Ends MPI in this process; it cannot be started again.
    ///
    /// # Errors
    /// What MPI says.
    pub fn finalize(&self) -> Result<()> {
        // SAFETY: MPI is initialised, and the one who calls this asks nothing of it afterwards.
        self.check("MPI_Finalize", unsafe { (self.finalize)() })
    }

    /// Ends the whole job.
    pub fn abort(&self, comm: H, code: i32) {
        // SAFETY: `comm` is MPI's.
        unsafe { (self.abort)(comm, code) };
    }

    fn check(&self, name: &str, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the text is longer than MPI_MAX_ERROR_STRING of all libraries (1024).
        let said = self.text("", |text, length| unsafe { (self.error_string)(code, text, length) });
        let said = format!("{name}: {}", said.unwrap_or_else(|_| format!("error {code}")));
        let mut class = 0;
        // SAFETY: `class` is written to.
        unsafe { (self.error_class)(code, &mut class) };
        Err(Problem { said, is_loss: self.constants.lost.contains(&class) })
    }

    /// A text that a function writes.
    fn text(&self, name: &str, write: impl FnOnce(*mut c_char, *mut c_int) -> c_int) -> Result<String> {
        let (mut text, mut length) = (vec![0; 8193], 0);
        let code = write(text.as_mut_ptr(), &mut length);
        if code != 0 {
            return Err(Problem { said: format!("{name}: error {code}"), is_loss: false });
        }
        // SAFETY: the last character is a zero that no function reaches.
        let text = unsafe { CStr::from_ptr(text.as_ptr()) };
        Ok(text.to_string_lossy().trim().to_string())
    }
}

fn int(number: usize) -> c_int {
    number.try_into().expect("messages are cut before they are too long for MPI, and there are fewer ranks")
}
