"""The bias theory of section 6, measured: does the discriminator lower the bias of the value, and at what price?"""
