// The only file of this module that holds `unsafe`: the calls of libpcap, whose handles and buffers stay in here.

import CPcap
import Foundation
import Wire

/// What the last failed call of the C library said.
private func systemError() -> String { unsafe String(cString: strerror(errno)) }

/// A capture file that libpcap reads.
@safe
struct PcapInput: ~Copyable {
  /// What reading one record gave.
  enum Outcome {
    case record(nanoseconds: Int64, originalLength: Int)
    case end
    case damaged(String)
  }

  private let handle: OpaquePointer
  /// The record that was read last: libpcap's buffer, valid until the next one is read.
  private var data: UnsafePointer<UInt8>?
  private var length = 0
  private var isOver = false

  init(path: String, name: String) throws(CaptureError) {
    let stream = unsafe path == "-" ? fdopen(STDIN_FILENO, "rb") : fopen(path, "rb")
    guard let file = unsafe stream else { throw CaptureError(.cannotOpen, file: name, detail: systemError()) }
    var message = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
    let opened = unsafe pcap_fopen_offline_with_tstamp_precision(
      file, UInt32(PCAP_TSTAMP_PRECISION_NANO), &message)
    guard let handle = unsafe opened else {
      unsafe fclose(file)
      let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw CaptureError(.notACapture, file: name, detail: String(decoding: text, as: UTF8.self))
    }
    unsafe self.handle = handle
  }

  deinit { unsafe pcap_close(handle) }

  var linkType: Int32 { unsafe pcap_datalink(handle) }

  var linkTypeName: String {
    unsafe pcap_datalink_val_to_name(linkType).map { unsafe String(cString: $0) } ?? "unknown"
  }

  /// Reads one record.
  mutating func advance() -> Outcome {
    guard !isOver else { return .end }
    var header: UnsafeMutablePointer<pcap_pkthdr>?
    let status = unsafe pcap_next_ex(handle, &header, &data)
    guard status == 1, let header = unsafe header else {
      isOver = true
      length = 0
      unsafe data = nil
      return status == PCAP_ERROR ? .damaged(unsafe String(cString: pcap_geterr(handle))) : .end
    }
    let stamp = unsafe header.pointee.ts
    length = unsafe data == nil ? 0 : Int(header.pointee.caplen)
    // A pcapng time stamp may be any 64-bit number, hence the wrapping arithmetic.
    return .record(
      nanoseconds: Int64(stamp.tv_sec) &* 1_000_000_000 &+ Int64(stamp.tv_usec),
      originalLength: unsafe Int(header.pointee.len))
  }

  /// The bytes of the record that was read last.
  var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: data, count: length))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }
}

/// A capture file that libpcap writes.
@safe
struct PcapOutput: ~Copyable {
  private let handle: OpaquePointer
  private let dumper: OpaquePointer
  private let name: String

  init(path: String, name: String, linkType: Int32, nanosecondPrecision: Bool) throws(CaptureError) {
    let precision = nanosecondPrecision ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO
    let maximumLength: Int32 = 262_144
    let opened = unsafe pcap_open_dead_with_tstamp_precision(linkType, maximumLength, UInt32(precision))
    guard let handle = unsafe opened else {
      throw CaptureError(.cannotWrite, file: name, detail: "out of memory")
    }
    guard let dumper = unsafe pcap_dump_open(handle, path) else {
      let detail = unsafe String(cString: pcap_geterr(handle))
      unsafe pcap_close(handle)
      throw CaptureError(
        .cannotWrite, file: name,
        detail: detail.hasPrefix(path + ": ") ? String(detail.dropFirst(path.count + 2)) : detail)
    }
    unsafe self.handle = handle
    unsafe self.dumper = dumper
    self.name = name
  }

  deinit {
    unsafe pcap_dump_close(dumper)
    unsafe pcap_close(handle)
  }

  /// Appends a record; `fraction` is in micro- or nanoseconds, as the file's precision is.
  mutating func write(_ bytes: RawSpan, seconds: Int64, fraction: Int64, originalLength: Int) {
    var header = pcap_pkthdr()
    header.ts.tv_sec = Int(truncatingIfNeeded: seconds)
    header.ts.tv_usec = Int(truncatingIfNeeded: fraction)
    header.caplen = UInt32(truncatingIfNeeded: bytes.byteCount)
    header.len = UInt32(truncatingIfNeeded: originalLength)
    // pcap_dump takes its FILE as a "user" pointer of bytes, so that it can be a callback.
    let user = unsafe UnsafeMutableRawPointer(dumper).assumingMemoryBound(to: UInt8.self)
    unsafe bytes.withUnsafeBytes { buffer in
      let start = unsafe buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
      unsafe pcap_dump(user, &header, start)
    }
  }

  /// Writes out what is buffered. Errors of earlier writes surface here.
  mutating func flush() throws(CaptureError) {
    guard unsafe pcap_dump_flush(dumper) == 0, unsafe ferror(pcap_dump_file(dumper)) == 0 else {
      throw CaptureError(.cannotWrite, file: name, detail: systemError())
    }
  }
}
