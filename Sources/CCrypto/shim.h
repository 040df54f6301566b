#include <openssl/evp.h>
#include <openssl/err.h>

/* EVP_CIPHER_CTX_ctrl takes its meaning from macros that Swift does not import. */
static inline int pangate_ccm_set_lengths(EVP_CIPHER_CTX *context, int nonce_length, int tag_length, void *tag) {
  return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, nonce_length, 0) == 1
      && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_length, tag) == 1;
}

static inline int pangate_ccm_get_tag(EVP_CIPHER_CTX *context, int tag_length, void *tag) {
  return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_length, tag);
}
