// With UncheckedNATS.swift, the only files of this module that hold `unsafe`.

import CNATS

extension NATSMessage {
  /// Copies a message of libnats and frees it.
  init(taking native: OpaquePointer) {
    defer { unsafe natsMsg_Destroy(native) }
    subject = unsafe natsMsg_GetSubject(native).map { unsafe String(cString: $0) } ?? ""
    reply = unsafe natsMsg_GetReply(native).map { unsafe String(cString: $0) }
    let length = Int(unsafe natsMsg_GetDataLength(native))
    let data = unsafe natsMsg_GetData(native)
    bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : length))
    for name in NATSHeader.received {
      var value: UnsafePointer<CChar>?
      guard unsafe natsMsgHeader_Get(native, name.rawValue, &value) == NATS_OK, let value = unsafe value else {
        continue
      }
      headers[name] = unsafe String(cString: value)
    }
  }
}
