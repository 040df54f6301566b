// The only file of the spinel driver that holds `unsafe`: calls of the C library about terminals and programs.

import Foundation
import Glibc

/// What the system said: a number of `errno.h`.
struct TerminalError: Error, Equatable {
  var code: CInt

  /// In words.
  var text: String { unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)" }

  static var last: TerminalError { TerminalError(code: errno) }
}

/// Terminals: serial ports and pseudo-terminals. Descriptors are closed in programs that are started, and do not block.
enum Terminal {
  private static let flags = O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC
  /// The function, of which there is a structure of the same name too.
  private static let lock: @Sendable (CInt, CInt) -> CInt = flock

  /// Opens a terminal for this program alone: EBUSY if another has it. It carries all octets as they are, 8 data bits, no parity, 1
  /// stop bit, no flow control, at `speed` (a constant of termios); what was waiting in it is thrown away.
  static func open(path: String, speed: speed_t) throws(TerminalError) -> CInt {
    let descriptor = unsafe Glibc.open(path, flags)
    guard descriptor >= 0 else { throw .last }
    do throws(TerminalError) {
      // The one keeps out those who ask, the other also those who do not, unless they are root.
      guard lock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        throw errno == EWOULDBLOCK ? TerminalError(code: EBUSY) : .last
      }
      try setRaw(descriptor, speed: speed)
      _ = Glibc.ioctl(descriptor, UInt(TIOCEXCL))
      tcflush(descriptor, TCIFLUSH)
    } catch {
      close(descriptor)
      throw error
    }
    return descriptor
  }

  /// The settings of a terminal.
  static func settings(_ descriptor: CInt) throws(TerminalError) -> termios {
    var settings = termios()
    guard unsafe tcgetattr(descriptor, &settings) == 0 else { throw .last }
    return settings
  }

  static func speed(_ settings: termios) -> speed_t {
    var settings = settings
    return unsafe cfgetospeed(&settings)
  }

  private static func setRaw(_ descriptor: CInt, speed: speed_t) throws(TerminalError) {
    var settings = try settings(descriptor)
    unsafe cfmakeraw(&settings)
    settings.c_cflag &= ~tcflag_t(CSTOPB | PARENB)
    settings.c_cflag &= ~tcflag_t(CRTSCTS)
    settings.c_cflag |= tcflag_t(CLOCAL | CREAD)
    guard unsafe cfsetispeed(&settings, speed) == 0, unsafe cfsetospeed(&settings, speed) == 0,
      unsafe tcsetattr(descriptor, TCSANOW, &settings) == 0
    else { throw .last }
    // Success says only that something was set.
    guard try Self.speed(Self.settings(descriptor)) == speed else { throw TerminalError(code: EINVAL) }
  }

  /// A new pseudo-terminal that carries all octets as they are: the descriptors of its controlling side and of its other side, and
  /// the path of the latter.
  static func makePair() throws(TerminalError) -> (controlling: CInt, terminal: CInt, path: String) {
    var controlling: CInt = -1
    var terminal: CInt = -1
    guard unsafe openpty(&controlling, &terminal, nil, nil, nil) == 0 else { throw .last }
    do throws(TerminalError) {
      for descriptor in [controlling, terminal] {
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { throw .last }
      }
      var name = [CChar](repeating: 0, count: 128)
      let code = unsafe ttyname_r(terminal, &name, name.count)
      guard code == 0 else { throw TerminalError(code: code) }
      try setRaw(terminal, speed: speed_t(B115200))
      let path = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      return (controlling, terminal, String(decoding: path, as: UTF8.self))
    } catch {
      close(controlling)
      close(terminal)
      throw error
    }
  }

  /// Throws away what was written and is not sent.
  static func discardOutput(_ descriptor: CInt) { tcflush(descriptor, TCOFLUSH) }

  /// Bytes that were written and are not sent.
  static func unsent(_ descriptor: CInt) -> Int {
    var count: CInt = 0
    return unsafe Glibc.ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : 0
  }

  static func duplicate(_ descriptor: CInt) throws(TerminalError) -> CInt {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw .last }
    return copy
  }

  /// Lets others open the terminal, though a program that is just being started may have inherited its descriptors for a moment.
  static func release(_ descriptor: CInt) {
    _ = Glibc.ioctl(descriptor, UInt(TIOCNXCL))
    _ = lock(descriptor, LOCK_UN)
    close(descriptor)
  }

  static func close(_ descriptor: CInt) { _ = Glibc.close(descriptor) }
}

/// A program on a pseudo-terminal.
struct ChildProgram: Sendable {
  private let identifier: pid_t

  /// POSIX_SPAWN_SETSID, which is hidden in the header: a session of its own.
  private static let newSession: CInt = 0x80

  /// Starts a program, found on PATH, whose input and output are a new pseudo-terminal and its controlling terminal; its errors go where
  /// ours go. Returns the controlling side too.
  static func start(_ words: [String]) throws(TerminalError) -> (program: ChildProgram, descriptor: CInt) {
    let pair = try Terminal.makePair()
    // Once the program has its terminal, nobody else may: its end is to be noticed.
    defer { Terminal.close(pair.terminal) }
    do throws(TerminalError) {
      return (ChildProgram(identifier: try spawn(words, on: pair.path)), pair.controlling)
    } catch {
      Terminal.close(pair.controlling)
      throw error
    }
  }

  /// Descriptors that are none of the program's business, some of which may have been opened without thinking of programs.
  private static func inheritable() -> [CInt] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return names.compactMap { CInt($0) }.filter { $0 > STDERR_FILENO }
  }

  private static func spawn(_ words: [String], on path: String) throws(TerminalError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    // In a session of its own, the first terminal that is opened becomes the controlling one: it ends when we do.
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, path, O_RDWR, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO)
    for inherited in inheritable() { unsafe posix_spawn_file_actions_addclose(&actions, inherited) }
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    var all = sigset_t()
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(newSession | CInt(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)))
    var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
    var identifier: pid_t = 0
    let code = unsafe posix_spawnp(&identifier, words[0], &actions, &attributes, &arguments, environ)
    guard code == 0 else { throw TerminalError(code: code) }
    return identifier
  }

  /// Ends the program, and what it has started in its session, and waits for it: that may take a moment.
  func end() {
    kill(-identifier, SIGKILL)
    var status: CInt = 0
    while unsafe waitpid(identifier, &status, 0) < 0, errno == EINTR {}
  }
}
